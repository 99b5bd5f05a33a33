// The components that are models: transformer, vae-encode, vae-decode and text-encoder.
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/tools/component_tools_parts.h"
#include "worker/engine/vae/config.h"

namespace svi::engine {
namespace {

constexpr int64_t kPatch = 2;  // of the transformer, rows and columns

struct LoraFlag {
  std::string path;
  double strength = 1.0;
};

// "FILE:STRENGTH"; a file whose name has a colon and no number behind the last one is a file.
LoraFlag ParseLora(const std::string& text) {
  LoraFlag flag{text, 1.0};
  const size_t colon = text.rfind(':');
  double strength = 0;
  if (colon != std::string::npos && absl::SimpleAtod(text.substr(colon + 1), &strength)) {
    flag = {text.substr(0, colon), strength};
  }
  if (flag.path.empty()) throw std::invalid_argument("--lora must be FILE or FILE:STRENGTH");
  if (!std::isfinite(flag.strength)) throw std::invalid_argument("--lora: the strength must be finite");
  return flag;
}

}  // namespace

OpenTransformer LoadWithLoras(const ComponentRun& run) {
  LoadOptions load{run.device, std::nullopt};
  // Otherwise as stored: layers cast their weights as they use them, so that what the reference keeps in
  // float32 in a bfloat16 model (time embedding, modulation tables) is not rounded. A LoRA's sum is kept in
  // the base's dtype, so float32 arithmetic wants a float32 base.
  if (!run.options.loras.empty() && run.dtype == at::kFloat) load.dtype = at::kFloat;
  OpenTransformer open;
  open.model = LoadTransformer(run.options.model_dir, load).model;
  if (run.options.loras.empty()) return open;

  const LoraTargets targets = TargetsOf(*open.model);
  std::vector<double> strengths;
  for (const std::string& text : run.options.loras) {
    const LoraFlag flag = ParseLora(text);
    open.loras.push_back(ReadLora(flag.path, targets));
    strengths.push_back(flag.strength);
  }
  std::vector<LoraUse> uses;
  for (size_t i = 0; i < strengths.size(); ++i) uses.push_back({&open.loras[i], strengths[i]});
  open.merge = std::make_unique<LoraMerge>(*open.model);
  open.merge->Apply(uses);
  return open;
}

NamedTensors RunTransformer(ComponentRun& run) {
  const OpenTransformer open = LoadWithLoras(run);
  const TransformerConfig& config = open.model->config();
  run.inputs.Fix("C", config.in_channels);
  run.inputs.Fix("D", config.text_dim);
  const at::Tensor hidden = run.inputs.Float("hidden_states", "[B, C, F, H, W]");
  if (hidden.size(3) % kPatch != 0 || hidden.size(4) % kPatch != 0) {
    ComponentInputs::Refuse("hidden_states", "[B, C, F, H, W] with even H and W");
  }
  run.inputs.Fix("tokens", hidden.size(2) * (hidden.size(3) / kPatch) * (hidden.size(4) / kPatch));
  const bool per_token = run.inputs.Rank("timestep") > 1;
  const at::Tensor timestep = run.inputs.Real("timestep", per_token ? "[B, tokens]" : "[B]");
  const at::Tensor text = run.inputs.Float("encoder_hidden_states", "[B, L, D]");
  const auto context = open.model->PrepareText(text.to(run.device, run.dtype));
  const at::Tensor sample =
      open.model->Forward(hidden.to(run.device, run.dtype), timestep.to(run.device), *context);
  return {{"sample", sample.to(at::kFloat)}};
}

NamedTensors RunVaeEncode(ComponentRun& run) {
  const at::Tensor video = run.inputs.Float("video", "[B, 3, F, H, W]");
  if (video.size(2) % kVaeTemporalFactor != 1 || video.size(3) % kVaeSpatialFactor != 0 ||
      video.size(4) % kVaeSpatialFactor != 0) {
    ComponentInputs::Refuse("video", absl::StrCat("[B, 3, F, H, W] with F = ", kVaeTemporalFactor,
                                                  "k + 1 and H and W multiples of ", kVaeSpatialFactor));
  }
  const auto vae = LoadVae(run.options.model_dir, {run.device, run.dtype}).model;
  const at::Tensor mean = vae->EncodeMean(video.to(run.device)).to(at::kFloat);
  return {{"mean", mean}, {"latents", vae->Normalize(mean)}};
}

NamedTensors RunVaeDecode(ComponentRun& run) {
  const auto vae = LoadVae(run.options.model_dir, {run.device, run.dtype}).model;
  run.inputs.Fix("z", vae->config().z_dim);
  const at::Tensor latents = run.inputs.Float("latents", "[B, z, T, h, w]");
  return {{"video", vae->Decode(latents.to(run.device)).to(at::kFloat)}};
}

NamedTensors RunTextEncoder(ComponentRun& run) {
  const at::Tensor ids = run.inputs.Whole("input_ids", "[B, L]");
  const at::Tensor mask = run.inputs.Whole("attention_mask", "[B, L]");
  const auto encoder = LoadTextEncoder(run.options.model_dir, {run.device, std::nullopt}).model;
  return {{"last_hidden_state", encoder->ForwardAllRows(ids, mask, run.dtype).to(at::kFloat)}};
}

}  // namespace svi::engine
