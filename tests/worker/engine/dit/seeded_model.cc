#include "tests/worker/engine/dit/seeded_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace svi::engine {
namespace {

// Writes down what a model asks for.
class RecordingSource : public WeightSource {
 public:
  RecordingSource() : WeightSource("transformer", {}) {}
  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override {
    shapes[name] = shape.vec();
    return {};
  }
  std::map<std::string, std::vector<int64_t>> shapes;
};

at::Tensor SeededWeight(const std::string& name, uint64_t seed, const std::vector<int64_t>& shape) {
  if (name.find("norm") != std::string::npos && name.ends_with(".weight")) {
    return SeededUniform(seed, shape, 0.25).add_(1);
  }
  if (name.ends_with("scale_shift_table")) return SeededUniform(seed, shape, 0.5);
  if (name.ends_with(".bias")) return SeededUniform(seed, shape, 0.1);
  return SeededUniform(seed, shape,
                       std::sqrt(3.0 / static_cast<double>(c10::multiply_integers(shape) / shape[0])));
}

}  // namespace

at::Tensor SeededUniform(uint64_t seed, at::IntArrayRef shape, double scale) {
  const at::Tensor integers = at::randint(0, 65536, shape, at::detail::createCPUGenerator(seed), at::kLong);
  return (integers.to(at::kFloat) - 32768) / 32768 * scale;
}

TransformerConfig ConfigA() {
  return {.num_attention_heads = 4,
          .attention_head_dim = 24,
          .in_channels = 48,
          .out_channels = 48,
          .text_dim = 32,
          .freq_dim = 32,
          .ffn_dim = 160,
          .num_layers = 2};
}

TransformerConfig ConfigB() {
  return {.num_attention_heads = 4,
          .attention_head_dim = 32,
          .in_channels = 16,
          .out_channels = 16,
          .text_dim = 24,
          .freq_dim = 64,
          .ffn_dim = 144,
          .num_layers = 1};
}

std::map<std::string, at::Tensor> SeededWeights(const TransformerConfig& config) {
  RecordingSource recorder;
  const Transformer asks(config, recorder);
  std::map<std::string, at::Tensor> weights;
  uint64_t seed = 1000;
  for (const auto& [name, shape] : recorder.shapes) weights[name] = SeededWeight(name, seed++, shape);
  return weights;
}

std::unique_ptr<Transformer> SeededTransformer(const TransformerConfig& config, at::ScalarType dtype) {
  auto weights = SeededWeights(config);
  for (auto& [name, tensor] : weights) tensor = tensor.to(dtype);
  WeightSource source("transformer", std::move(weights));
  auto model = std::make_unique<Transformer>(config, source);
  source.Finish();
  return model;
}

}  // namespace svi::engine
