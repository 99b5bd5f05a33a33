// LoRA files for the tests, on the small model of tests/golden/dit.
#ifndef SVI_TESTS_WORKER_ENGINE_LORA_LORA_TEST_UTIL_H_
#define SVI_TESTS_WORKER_ENGINE_LORA_LORA_TEST_UTIL_H_

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>

#include "tests/worker/engine/dit/seeded_model.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/lora/lora_file.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

using Tensors = std::map<std::string, at::Tensor>;

inline std::string GoldenLora(const std::string& name) {
  return SVI_SOURCE_DIR "/tests/golden/lora/" + name + ".safetensors";
}

// A pair on one layer, of rank 2, in ComfyUI's spelling: `layer` 96 wide on both sides.
inline Tensors Pair(const std::string& layer = "blocks.0.self_attn.q", uint64_t seed = 1) {
  const std::string stem = "diffusion_model." + layer;
  return {{stem + ".lora_down.weight", SeededUniform(seed, {2, 96}, 0.3)},
          {stem + ".lora_up.weight", SeededUniform(seed + 1, {96, 2}, 0.3)}};
}

inline std::string LoraBytes(const Tensors& tensors,
                             const std::map<std::string, std::string>& metadata = {}) {
  return SerializeSafetensors({tensors, metadata});
}

inline const LoraTargets& TargetsA() {
  static const auto* targets = new LoraTargets(TargetsOf(*SeededTransformer(ConfigA())));
  return *targets;
}

// All weights that a LoRA may change, as they are now (not copies).
inline Tensors WeightsOf(Transformer& transformer) {
  Tensors weights;
  for (const auto& [name, linear] : transformer.Linears()) weights[name] = linear->weight();
  return weights;
}

inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
}

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_LORA_LORA_TEST_UTIL_H_
