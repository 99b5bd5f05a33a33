#include "engine/component_tools.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/engine/as_status.h"
#include "worker/engine/nn/device.h"
#include "worker/engine/tools/component_tools_parts.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

constexpr int kMostThreads = 1024;

struct Component {
  std::string name;
  NamedTensors (*run)(ComponentRun& run);
  bool has_model;
  std::vector<std::string> required, optional;  // inputs
};

const std::vector<Component>& Components() {
  static const auto* const kComponents = new std::vector<Component>{
      {"transformer", RunTransformer, true, {"hidden_states", "timestep", "encoder_hidden_states"}, {}},
      {"vae-encode", RunVaeEncode, true, {"video"}, {}},
      {"vae-decode", RunVaeDecode, true, {"latents"}, {}},
      {"text-encoder", RunTextEncoder, true, {"input_ids", "attention_mask"}, {}},
      {"tokenizer", RunTokenizer, true, {}, {}},
      {"scheduler", RunScheduler, false, {}, {}},
      {"sample",
       RunSample,
       true,
       {"latents", "image", "prompt_embeds"},
       {"negative_prompt_embeds", "sigmas"}},
      {"svi-train-step",
       RunSviTrainStep,
       false,
       {"latents", "noise", "prediction", "timestep_index"},
       {"noise_error", "latent_error"}},
  };
  return *kComponents;
}

const Component& Find(const std::string& name) {
  std::vector<std::string> known;
  for (const Component& component : Components()) {
    if (component.name == name) return component;
    known.push_back(component.name);
  }
  throw std::invalid_argument(absl::StrCat(
      name.empty() ? "--component is required" : absl::StrCat("unknown component \"", name, "\""),
      "; there are ", absl::StrJoin(known, ", ")));
}

void Require(bool ok, const std::string& why) {
  if (!ok) throw std::invalid_argument(why);
}

// A flag that the component would not look at is a mistake that would go unseen.
void CheckFlags(const Component& component, const RunComponentOptions& options) {
  const auto need = [&](const std::string& value, const char* flag) {
    Require(!value.empty(), absl::StrCat("--", flag, " is required for ", component.name));
  };
  need(options.outputs, "outputs");
  if (component.has_model) need(options.model_dir, "model");
  if (!component.required.empty()) need(options.inputs, "inputs");
  if (component.name == "tokenizer") {
    need(options.text_file, "text-file");
  } else {
    Require(options.text_file.empty(), "--text-file is for the tokenizer only");
  }
  const bool has_transformer = component.name == "transformer" || component.name == "sample";
  Require(options.loras.empty() || has_transformer, "--lora is for transformer and sample only");
  Require(options.num_threads >= 0 && options.num_threads <= kMostThreads,
          absl::StrCat("--threads must be 0 to ", kMostThreads));
}

at::ScalarType DtypeOf(const RunComponentOptions& options) {
  if (options.dtype == "float32") return at::kFloat;
  if (options.dtype == "bfloat16") return at::kBFloat16;
  throw std::invalid_argument("--dtype must be float32 or bfloat16");
}

absl::StatusOr<std::vector<std::string>> Run(const RunComponentOptions& options) {
  const Component& component = Find(options.component);
  CheckFlags(component, options);
  const at::ScalarType dtype = DtypeOf(options);
  const at::Device device = SelectDevice(options.device);
  PrepareDevice(device);
  if (options.num_threads > 0) at::set_num_threads(options.num_threads);
  // Components without inputs may be given a file of none.
  NamedTensors given = options.inputs.empty() ? NamedTensors{} : ReadSafetensors(options.inputs).tensors;
  ComponentRun run{options, device, dtype,
                   ComponentInputs(std::move(given), component.required, component.optional)};
  WriteSafetensors(options.outputs, {component.run(run), {}});
  return run.inputs.unused();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> RunComponent(const RunComponentOptions& options) {
  return AsStatus([&] { return Run(options); });
}

}  // namespace svi::engine
