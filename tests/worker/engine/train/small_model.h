// The small model of tests/golden/train/make_fixtures.py, on disk and with its loss.
#ifndef SVI_TESTS_WORKER_ENGINE_TRAIN_SMALL_MODEL_H_
#define SVI_TESTS_WORKER_ENGINE_TRAIN_SMALL_MODEL_H_

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "tests/worker/engine/dit/seeded_model.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/train/parameter.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

inline std::string TrainGolden(const std::string& name) {
  return SVI_SOURCE_DIR "/tests/golden/train/" + name + ".safetensors";
}

inline TransformerConfig SmallConfig() {
  return {.num_attention_heads = 2,
          .attention_head_dim = 12,
          .in_channels = 8,
          .out_channels = 8,
          .text_dim = 16,
          .freq_dim = 16,
          .ffn_dim = 40,
          .num_layers = 2};
}

// The transformer's folder.
inline void WriteSmallModel(const TempDir& dir, at::ScalarType dtype = at::kFloat) {
  TensorFile file;
  for (const auto& [name, weight] : SeededWeights(SmallConfig())) file.tensors[name] = weight.to(dtype);
  WriteSafetensors(dir.File("diffusion_pytorch_model.safetensors"), file);
  dir.Write("config.json", SmallConfig().ToJson());
}

struct SmallInputs {
  at::Tensor hidden = SeededUniform(1, {2, 8, 3, 4, 6}, 1.7), target = SeededUniform(3, {2, 8, 3, 4, 6}, 1.7);
  at::Tensor text, timestep;

  SmallInputs() {
    text = at::cat({SeededUniform(2, {2, 7, 16}, 1.7), at::zeros({2, 5, 16})}, 1);
    text[1].narrow(0, 4, 8).zero_();
    timestep = at::tensor({875.5, 312.25}).unsqueeze(1).repeat({1, 18});
    timestep.narrow(1, 0, 6).zero_();
    timestep[1].narrow(0, 12, 6).fill_(500.125);
  }
};

// Mean squared miss outside the clean slot.
inline at::Tensor SmallLoss(const Transformer& transformer, bool checkpoint_blocks = false) {
  const SmallInputs in;
  const at::Tensor prediction =
      transformer.Forward(in.hidden, in.timestep, *transformer.PrepareText(in.text), checkpoint_blocks);
  return (prediction - in.target).narrow(2, 1, 2).square().mean();
}

// Values as the fixtures' script draws them.
inline void SeedAdapters(const std::vector<Parameter>& parameters) {
  uint64_t seed = 5000;
  for (const Parameter& parameter : parameters) {
    at::Tensor value = parameter.tensor.detach();
    value.copy_(SeededUniform(seed++, value.sizes(), 0.5));
  }
}

// Largest difference over the largest of `expected`.
inline double RelativeDifference(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_TRAIN_SMALL_MODEL_H_
