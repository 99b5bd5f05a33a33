#include "worker/engine/nn/checkpointed.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace svi::engine {
namespace {

at::Tensor Leaf(at::IntArrayRef shape) { return at::randn(shape).set_requires_grad(true); }

at::Tensor Gradient(const at::Tensor& leaf) {
  at::Tensor held = leaf;
  const at::Tensor gradient = leaf.grad();
  held.mutable_grad().reset();
  return gradient;
}

TEST(Checkpointed, GivesInputsAndLeavesWithinTheirGradientsBitForBit) {
  const at::Tensor x = Leaf({5, 4}), y = Leaf({5, 3}), weight = Leaf({4, 3});
  const Computation compute = [&](const std::vector<at::Tensor>& in, Want) {
    return at::gelu(at::mm(in[0], weight) * in[1]);
  };
  compute({x, y}, Want::kResult).square().sum().backward();
  const at::Tensor of_x = Gradient(x), of_y = Gradient(y), of_weight = Gradient(weight);
  const at::Tensor result = Checkpointed(compute, {x, y});
  EXPECT_TRUE(at::equal(result, compute({x, y}, Want::kResult)));
  result.square().sum().backward();
  EXPECT_TRUE(at::equal(Gradient(x), of_x));
  EXPECT_TRUE(at::equal(Gradient(y), of_y));
  EXPECT_TRUE(at::equal(Gradient(weight), of_weight));
}

TEST(Checkpointed, LeavesWithinGetGradientsThoughNoInputTakesOne) {
  const at::Tensor x = at::randn({5, 4}), weight = Leaf({4, 3});
  const at::Tensor y =
      Checkpointed([&](const std::vector<at::Tensor>& in, Want) { return at::mm(in[0], weight); }, {x});
  ASSERT_TRUE(y.requires_grad());
  y.sum().backward();
  EXPECT_TRUE(at::allclose(weight.grad(), at::mm(x.t(), at::ones({5, 3}))));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Checkpointed, ComputesTheResultOnceAndTheGraphOnceMore) {
  std::vector<Want> runs;
  const at::Tensor x = Leaf({3});
  const Computation compute = [&](const std::vector<at::Tensor>& in, Want want) {
    runs.push_back(want);
    return in[0].square();
  };
  Checkpointed(compute, {x}).sum().backward();
  EXPECT_EQ(runs, (std::vector<Want>{Want::kResult, Want::kGraph}));
  const at::NoGradGuard not_recorded;
  EXPECT_FALSE(Checkpointed(compute, {x}).requires_grad());
  EXPECT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs.back(), Want::kResult);
}

// Three in a row, the last with an input of each.
TEST(Checkpointed, OneAfterTheOther) {
  const at::Tensor x = Leaf({4});
  const Computation square = [](const std::vector<at::Tensor>& in, Want) { return in[0].square(); };
  const Computation product = [](const std::vector<at::Tensor>& in, Want) { return in[0] * in[1]; };
  const at::Tensor x2 = Checkpointed(square, {x}), x4 = Checkpointed(square, {x2});
  Checkpointed(product, {x2, x4}).sum().backward();
  EXPECT_TRUE(at::allclose(x.grad(), 6 * x.detach().pow(5), 1e-4));
}

TEST(Checkpointed, KeepsNothingOfWhatIsBetween) {
  const at::Tensor x = Leaf({3});
  std::vector<c10::weak_intrusive_ptr<at::TensorImpl>> between;
  const at::Tensor y = Checkpointed(
      [&](const std::vector<at::Tensor>& in, Want) {
        const at::Tensor middle = in[0].exp();
        between.emplace_back(middle.getIntrusivePtr());
        return middle.square();
      },
      {x});
  ASSERT_EQ(between.size(), 1u);
  EXPECT_TRUE(between[0].expired());
  y.sum().backward();
  ASSERT_EQ(between.size(), 2u);
  EXPECT_TRUE(between[1].expired());
}

TEST(Checkpointed, AnErrorOfTheSecondComputationReachesTheCaller) {
  int runs = 0;
  const at::Tensor x = Leaf({3});
  const at::Tensor y = Checkpointed(
      [&](const std::vector<at::Tensor>& in, Want) {
        if (++runs == 2) throw std::invalid_argument("second");
        return in[0].square();
      },
      {x});
  EXPECT_THROW(y.sum().backward(), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
