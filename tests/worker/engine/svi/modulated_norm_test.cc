#include "worker/engine/kernels/modulated_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace svi::engine {
namespace {

TEST(ModulatedNorm, EachTokenGetsItsOwnRow) {
  const at::Tensor x = at::arange(2 * 3 * 4, at::kFloat).reshape({2, 3, 4}).sin();
  const at::Tensor shift = at::arange(2 * 2 * 4, at::kFloat).reshape({2, 2, 4});
  const at::Tensor scale = shift * 0.5;
  const at::Tensor rows = at::tensor({0, 1, 1, 1, 0, 1}, at::kLong).reshape({2, 3});
  const at::Tensor out = ModulatedNorm(x, shift, scale, rows, 1e-6);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t t = 0; t < 3; ++t) {
      const int64_t row = rows[b][t].item<int64_t>();
      const at::Tensor deviation = x[b][t] - x[b][t].mean();
      const at::Tensor normed = deviation / (deviation.square().mean() + 1e-6).sqrt();
      EXPECT_TRUE(at::allclose(out[b][t], normed * (1 + scale[b][row]) + shift[b][row], 1e-5, 1e-5));
    }
  }
}

TEST(ModulatedNorm, OneRowServesAllTokens) {
  const at::Tensor x = at::arange(1 * 5 * 8, at::kFloat).reshape({1, 5, 8}).cos();
  const at::Tensor shift = at::full({1, 1, 8}, 0.25), scale = at::full({1, 1, 8}, 2.0);
  const at::Tensor expected = at::layer_norm(x, {8}, {}, {}, 1e-6) * 3 + 0.25;
  EXPECT_TRUE(at::allclose(ModulatedNorm(x, shift, scale, at::zeros({1, 5}, at::kLong), 1e-6), expected));
}

TEST(ModulatedNorm, NothingToCheckOnACpu) { EXPECT_EQ(CheckModulatedNorm(at::kCPU), std::nullopt); }

}  // namespace
}  // namespace svi::engine
