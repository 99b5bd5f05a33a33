#include "tests/worker/engine/vae/generated.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace svi::engine {
namespace {

uint64_t Fnv1a(const std::string& text) {
  uint64_t value = 0xCBF29CE484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return value;
}

uint64_t SplitMix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

at::Tensor Uniform(const std::string& name, at::IntArrayRef shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  const uint64_t seed = Fnv1a(name);
  float* const data = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const uint64_t bits = SplitMix(seed + static_cast<uint64_t>(i + 1) * 0x9E3779B97F4A7C15);
    data[i] = static_cast<float>(bits >> 40) * 0x1p-23f - 1.0f;
  }
  return values;
}

GeneratedWeights::GeneratedWeights(Kind kind) : WeightSource("vae", {}), kind_(kind) {
  at::set_num_threads(1);
}

at::Tensor GeneratedWeights::Take(const std::string& name, at::IntArrayRef shape) {
  const bool oldest_only = kind_ == Kind::kOldestFrameOnly;
  const at::Tensor values = Uniform(name, shape).to(oldest_only ? at::kDouble : at::kFloat);
  if (name.ends_with("gamma")) return values * 0.25 + 1;
  if (name.ends_with("bias")) return values * 0.125;
  double fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= static_cast<double>(shape[i]);
  at::Tensor weight = values * static_cast<double>(static_cast<float>(std::sqrt(3.0 / fan_in)));
  if (oldest_only && shape.size() == 5 && shape[2] == 3) weight.slice(2, 1).zero_();
  return weight;
}

VaeConfig SmallConfig(int64_t base_dim, int64_t decoder_base_dim, int64_t num_res_blocks) {
  VaeConfig config;
  config.base_dim = base_dim;
  config.decoder_base_dim = decoder_base_dim;
  config.num_res_blocks = num_res_blocks;
  config.z_dim = 8;
  config.latents_mean = {-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557};
  config.latents_std = {0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499, 0.4818, 0.5013};
  return config;
}

double MaxAbs(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace svi::engine
