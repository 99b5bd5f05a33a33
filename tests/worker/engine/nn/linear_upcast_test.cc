#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <thread>

#include "worker/engine/nn/layers.h"

namespace svi::engine {
namespace {

at::Tensor Random(at::IntArrayRef shape, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::kFloat);
}

// In double: what a float32 product may differ from by rounding only.
at::Tensor Exact(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor product = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  return bias.defined() ? product + bias.to(at::kDouble) : product;
}

double RelativeError(const at::Tensor& got, const at::Tensor& expected) {
  return ((got.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

TEST(LinearUpcast, IsTheProductInFloat32WhateverTheWeightsDtype) {
  const at::Tensor x = Random({2, 37, 96}, 1);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    const at::Tensor weight = Random({130, 96}, 2).to(dtype), bias = Random({130}, 3).to(dtype);
    for (const at::Tensor& b : {bias, at::Tensor()}) {
      const at::Tensor y = LinearUpcast(x, weight, b);
      EXPECT_EQ(y.scalar_type(), at::kFloat);
      EXPECT_EQ(y.sizes(), (std::vector<int64_t>{2, 37, 130}));
      EXPECT_LE(RelativeError(y, Exact(x, weight.to(at::kFloat), b.defined() ? b.to(at::kFloat) : b)), 1e-6);
    }
  }
}

TEST(LinearUpcast, ANarrowWeightCountsAsItsWideCopyBitForBit) {
  const at::Tensor x = Random({1, 320, 256}, 1), weight = Random({512, 256}, 2).to(at::kBFloat16);
  EXPECT_TRUE(at::equal(LinearUpcast(x, weight), LinearUpcast(x, weight.to(at::kFloat))));
}

// One whose wide copy is beyond what a thread keeps: 50 M elements, 100 MiB of bfloat16.
TEST(LinearUpcast, AWeightOfSeveralBlocks) {
  const int64_t rows = 51200, columns = 1024;
  const at::Tensor weight = Random({64, columns}, 2).to(at::kBFloat16).repeat({rows / 64, 1});
  const at::Tensor bias = at::arange(rows, at::kFloat);
  const at::Tensor x = Random({3, columns}, 1);
  const at::Tensor of_64 = Exact(x, weight.narrow(0, 0, 64).to(at::kFloat), {});
  EXPECT_LE(RelativeError(LinearUpcast(x, weight, bias), of_64.repeat({1, rows / 64}) + bias), 1e-6);
}

TEST(LinearUpcast, InputsThatAreNoPlainMatrix) {
  const at::Tensor weight = Random({24, 16}, 2).to(at::kBFloat16), bias = Random({24}, 3);
  const at::Tensor wide = weight.to(at::kFloat);
  const at::Tensor turned = Random({16, 5, 2}, 1).permute({2, 1, 0});
  EXPECT_LE(RelativeError(LinearUpcast(turned, weight, bias), Exact(turned, wide, bias)), 1e-6);
  const at::Tensor vector = Random({16}, 1);
  EXPECT_LE(RelativeError(LinearUpcast(vector, weight, bias), Exact(vector, wide, bias)), 1e-6);
  EXPECT_EQ(LinearUpcast(at::zeros({0, 16}), weight, bias).sizes(), (std::vector<int64_t>{0, 24}));
  EXPECT_ANY_THROW((void)LinearUpcast(at::zeros({2, 15}), weight, bias));
}

TEST(LinearUpcast, InBfloat16ItStaysInBfloat16) {
  const at::Tensor x = Random({7, 64}, 1), weight = Random({32, 64}, 2);
  const at::Tensor y = LinearUpcast(x.to(at::kBFloat16), weight);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LE(RelativeError(y, Exact(x, weight, {})), 2e-2);
}

TEST(LinearUpcast, TheSameInAndOutOfInferenceModeAndOnAnotherThread) {
  const at::Tensor x = Random({20, 64}, 1), weight = Random({48, 64}, 2).to(at::kBFloat16);
  const at::Tensor outside = LinearUpcast(x, weight);
  at::Tensor inside, elsewhere;
  {
    const c10::InferenceMode mode;
    inside = LinearUpcast(x, weight);
  }
  const at::Tensor after = LinearUpcast(x, weight);
  std::thread([&] { elsewhere = LinearUpcast(x, weight); }).join();
  EXPECT_TRUE(at::equal(inside, outside));
  EXPECT_TRUE(at::equal(after, outside));
  EXPECT_TRUE(at::equal(elsewhere, outside));
}

TEST(LinearUpcast, GradientsPassThroughIt) {
  const at::AutoGradMode gradients(true);
  const at::Tensor weight = Random({8, 16}, 2).to(at::kBFloat16);
  at::Tensor x = Random({4, 16}, 1);
  x.set_requires_grad(true);
  EXPECT_TRUE(LinearUpcast(x, weight).requires_grad());
}

}  // namespace
}  // namespace svi::engine
