// The component that is a whole run: sample.
#include <vector>

#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/sampler/sampler.h"
#include "worker/engine/svi/denoise.h"
#include "worker/engine/tools/component_tools_parts.h"
#include "worker/engine/vae/config.h"

namespace svi::engine {
namespace {

std::unique_ptr<FlowSampler> SamplerFor(ComponentRun& run) {
  const Sampler kind = SamplerOf(run.options);
  if (!run.inputs.Has("sigmas")) return MakeSampler(kind, run.options.steps, run.options.shift);
  const at::Tensor given = run.inputs.Real("sigmas", "[n]").contiguous();
  const double* const first = given.const_data_ptr<double>();
  try {
    return MakeSampler(kind, ScheduleOf(kind, std::vector<double>(first, first + given.numel())));
  } catch (const std::invalid_argument& e) {
    throw std::invalid_argument(std::string("inputs: sigmas: ") + e.what());
  }
}

}  // namespace

NamedTensors RunSample(ComponentRun& run) {
  const bool guided = run.options.guidance_scale != 1.0;
  if (guided && !run.inputs.Has("negative_prompt_embeds")) {
    throw std::invalid_argument(
        "inputs: negative_prompt_embeds is missing; only --guidance-scale=1 does without it");
  }
  const auto sampler = SamplerFor(run);
  const OpenTransformer open = LoadWithLoras(run);
  const auto vae = LoadVae(run.options.model_dir, {run.device, run.dtype}).model;
  const Transformer& transformer = *open.model;

  run.inputs.Fix("C", transformer.config().in_channels);
  run.inputs.Fix("D", transformer.config().text_dim);
  const at::Tensor noise = run.inputs.Float("latents", "[1, C, F, h, w]");
  if (noise.size(2) < 2 || noise.size(3) % 2 != 0 || noise.size(4) % 2 != 0) {
    ComponentInputs::Refuse("latents",
                            "[1, C, F, h, w] with F at least 2 (the first is the image's) and even h and w");
  }
  run.inputs.Fix("16h", kVaeSpatialFactor * noise.size(3));
  run.inputs.Fix("16w", kVaeSpatialFactor * noise.size(4));
  const at::Tensor image = run.inputs.Float("image", "[1, 3, 16h, 16w]");

  DenoiseInputs inputs;
  inputs.noise = noise.to(run.device);
  inputs.clean_slots = vae->Encode(image.unsqueeze(2).to(run.device)).to(at::kFloat);
  inputs.guidance_scale = run.options.guidance_scale;
  inputs.compute_dtype = run.dtype;
  inputs.guidance = GuidanceMode::kTwoPass;  // as the references; texts may differ in length
  const auto text = [&](const char* name, const char* shape) {
    return transformer.PrepareText(run.inputs.Float(name, shape).to(run.device, run.dtype));
  };
  inputs.prompt = text("prompt_embeds", "[1, L, D]");
  if (guided) inputs.negative_prompt = text("negative_prompt_embeds", "[1, M, D]");

  const at::Tensor latents = Denoise(transformer, *sampler, inputs, [](int) { return true; });
  return {{"latents", latents}, {"video", vae->Decode(latents).to(at::kFloat)}};
}

}  // namespace svi::engine
