// Layers as single nodes of the graph against the same formulas left to autograd, in double where they allow
// it.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/kernels/token_rows.h"
#include "worker/engine/nn/layers.h"
#include "worker/engine/nn/rms_norm_recorded.h"

namespace svi::engine {
namespace {

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

at::Tensor Random(at::IntArrayRef shape, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::kFloat);
}

// Gradients of a weighted sum of the result, by input; undefined for inputs that take none.
std::vector<at::Tensor> GradientsOf(const Function& f, const std::vector<at::Tensor>& inputs,
                                    at::ScalarType dtype) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.detach().to(dtype, false, true).set_requires_grad(input.requires_grad()));
  }
  const at::Tensor result = f(leaves);
  (result * Random(result.sizes(), 99).to(dtype)).sum().backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& leaf : leaves) gradients.push_back(leaf.grad());
  return gradients;
}

// `ours` in float32 against `plain` in double, whichever inputs take gradients.
void ExpectSameGradients(const Function& ours, const Function& plain, std::vector<at::Tensor> inputs) {
  for (size_t chosen = 1; chosen < size_t{1} << inputs.size(); ++chosen) {
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].set_requires_grad((chosen >> i & 1) != 0);
    const std::vector<at::Tensor> got = GradientsOf(ours, inputs, at::kFloat);
    const std::vector<at::Tensor> expected = GradientsOf(plain, inputs, at::kDouble);
    for (size_t i = 0; i < inputs.size(); ++i) {
      ASSERT_EQ(got[i].defined(), expected[i].defined()) << "input " << i << " of choice " << chosen;
      if (!got[i].defined()) continue;
      const double largest = expected[i].abs().max().item<double>();
      EXPECT_LE((got[i].to(at::kDouble) - expected[i]).abs().max().item<double>(), 2e-6 * largest)
          << "input " << i << " of choice " << chosen;
    }
  }
}

TEST(LinearRecorded, GradientsOfInputWeightAndBias) {
  ExpectSameGradients([](const auto& in) { return LinearUpcast(in[0], in[1], in[2]); },
                      [](const auto& in) { return at::linear(in[0], in[1], in[2]); },
                      {Random({2, 7, 12}, 1), Random({10, 12}, 2), Random({10}, 3)});
}

void ExpectGradientsWithAnAdapter(Want want) {
  constexpr double kScale = 1.5;
  ExpectSameGradients(
      [want](const auto& in) {
        const LoraAdapter adapter = {in[1], in[2], kScale};
        return LinearRecorded(in[0], in[3], {}, &adapter, want);
      },
      [](const auto& in) {
        return at::linear(in[0], in[3]) + kScale * at::linear(at::linear(in[0], in[1]), in[2]);
      },
      {Random({2, 7, 12}, 1), Random({3, 12}, 2), Random({10, 3}, 3), Random({10, 12}, 4)});
}

TEST(LinearRecorded, GradientsWithAnAdapter) { ExpectGradientsWithAnAdapter(Want::kResult); }

TEST(LinearRecorded, TheGraphAloneHasTheSameGradients) { ExpectGradientsWithAnAdapter(Want::kGraph); }

TEST(LinearRecorded, AFrozenNarrowWeightIsWidenedInBothDirections) {
  const at::Tensor weight = Random({10, 12}, 2).to(at::kBFloat16);
  const at::Tensor wide = weight.to(at::kDouble);
  ExpectSameGradients([&](const auto& in) { return LinearUpcast(in[0], weight); },
                      [&](const auto& in) { return at::linear(in[0], wide); }, {Random({9, 12}, 1)});
}

// One whose wide copy is beyond what a thread keeps.
TEST(LinearRecorded, AFrozenWeightOfSeveralBlocks) {
  const int64_t rows = 51200, columns = 1024;
  const at::Tensor weight = Random({64, columns}, 2).to(at::kBFloat16).repeat({rows / 64, 1});
  const at::Tensor gradient = Random({3, 64}, 1).repeat({1, rows / 64});
  const at::Tensor got = LinearInputGradient(gradient, weight);
  const at::Tensor expected =
      at::mm(gradient.narrow(1, 0, 64).to(at::kDouble), weight.narrow(0, 0, 64).to(at::kDouble)) *
      static_cast<double>(rows / 64);
  EXPECT_LE(((got.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>(), 1e-5);
}

TEST(LinearRecorded, TheResultIsThatOfTheUnrecordedBitForBit) {
  const at::Tensor x = Random({1, 320, 256}, 1), weight = Random({512, 256}, 2).to(at::kBFloat16);
  const LoraAdapter adapter = {Random({8, 256}, 3).set_requires_grad(true),
                               Random({512, 8}, 4).set_requires_grad(true), 0.5};
  const at::Tensor recorded = LinearRecorded(x, weight, {}, &adapter);
  EXPECT_TRUE(recorded.requires_grad());
  const at::NoGradGuard not_recorded;
  EXPECT_TRUE(at::equal(LinearRecorded(x, weight, {}, &adapter), recorded));
}

TEST(RmsNormRecorded, GradientsOfInputAndWeight) {
  const auto plain = [](const auto& in) {
    return in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-3) * in[1];
  };
  ExpectSameGradients([](const auto& in) { return RmsNormRecorded(in[0], in[1], 1e-3); }, plain,
                      {Random({2, 7, 12}, 1), Random({12}, 2)});
}

// Three rows, of which one serves no token; and one row for all.
TEST(ModulatedNorm, GradientsOfInputShiftAndScale) {
  const at::Tensor row_of_token = at::tensor({0, 2, 2, 0, 2, 0, 0, 0, 2, 2, 2, 0}, at::kLong).view({2, 6});
  for (const int64_t rows : {3, 1}) {
    const at::Tensor row = rows == 1 ? at::zeros_like(row_of_token) : row_of_token;
    const auto ours = [&](const auto& in) { return ModulatedNorm(in[0], in[1], in[2], row, 1e-6); };
    const auto plain = [&](const auto& in) {
      const at::Tensor index = row.unsqueeze(-1).expand({-1, -1, 16});
      return at::layer_norm(in[0], {16}, {}, {}, 1e-6) * (1 + in[2].gather(1, index)) +
             in[1].gather(1, index);
    };
    ExpectSameGradients(ours, plain,
                        {Random({2, 6, 16}, 1), Random({2, rows, 16}, 2), Random({2, rows, 16}, 3)});
  }
}

TEST(AddGated, GradientsOfInputUpdateAndGate) {
  const at::Tensor row_of_token = at::tensor({0, 2, 2, 0, 2, 0, 0, 0, 2, 2, 2, 0}, at::kLong).view({2, 6});
  for (const int64_t rows : {3, 1}) {
    const at::Tensor row = rows == 1 ? at::zeros_like(row_of_token) : row_of_token;
    const auto ours = [&](const auto& in) { return AddGated(in[0], in[1], in[2], row); };
    const auto plain = [&](const auto& in) {
      return in[0] + in[1] * in[2].gather(1, row.unsqueeze(-1).expand({-1, -1, 16}));
    };
    ExpectSameGradients(ours, plain,
                        {Random({2, 6, 16}, 1), Random({2, 6, 16}, 2), Random({2, rows, 16}, 3)});
  }
}

}  // namespace
}  // namespace svi::engine
