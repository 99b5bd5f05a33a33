// The components that svi-worker run-component knows, one function each (see engine/component_tools.h).
#ifndef SVI_ENGINE_TOOLS_COMPONENT_TOOLS_PARTS_H_
#define SVI_ENGINE_TOOLS_COMPONENT_TOOLS_PARTS_H_

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "engine/component_tools.h"
#include "engine/types.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/lora/lora_file.h"
#include "worker/engine/lora/lora_merge.h"
#include "worker/engine/tools/component_tools_inputs.h"

namespace svi::engine {

struct ComponentRun {
  const RunComponentOptions& options;
  at::Device device;
  at::ScalarType dtype;  // of the arithmetic
  ComponentInputs inputs;
};

// Each returns the outputs by name, floats as float32. They throw what the loaders throw, and
// std::invalid_argument naming the input or the flag that is wrong.
NamedTensors RunTransformer(ComponentRun& run);
NamedTensors RunVaeEncode(ComponentRun& run);
NamedTensors RunVaeDecode(ComponentRun& run);
NamedTensors RunTextEncoder(ComponentRun& run);
NamedTensors RunTokenizer(ComponentRun& run);
NamedTensors RunScheduler(ComponentRun& run);
NamedTensors RunSample(ComponentRun& run);
NamedTensors RunSviTrainStep(ComponentRun& run);

// A transformer with the LoRAs of the flags in place.
struct OpenTransformer {
  std::unique_ptr<Transformer> model;
  std::vector<LoraWeights> loras;
  std::unique_ptr<LoraMerge> merge;
};
OpenTransformer LoadWithLoras(const ComponentRun& run);

// --sampler.
Sampler SamplerOf(const RunComponentOptions& options);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_COMPONENT_TOOLS_PARTS_H_
