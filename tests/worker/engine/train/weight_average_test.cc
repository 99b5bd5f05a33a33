#include "worker/engine/train/weight_average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/worker/engine/train/small_model.h"

namespace svi::engine {
namespace {

std::vector<Parameter> OneParameter(double value) {
  return {{"w", at::full({3}, value, at::kFloat).set_requires_grad(true)}};
}

void Set(const Parameter& parameter, double value) { parameter.tensor.detach().fill_(value); }

TEST(WeightAverage, FollowsTheParametersBehindARisingDecay) {
  const std::vector<Parameter> parameters = OneParameter(1.0);
  WeightAverage average(parameters, 0.5);
  double expected = 1.0;
  for (int n = 0; n < 12; ++n) {
    Set(parameters[0], 2.0 + n);
    average.Update();
    const double decay = std::min(0.5, (1.0 + n) / (10.0 + n));
    expected = decay * expected + (1 - decay) * (2.0 + n);
    const AverageInPlace in_place(average);
    EXPECT_NEAR(parameters[0].tensor[0].item<double>(), expected, 1e-6 * expected) << n;
  }
  EXPECT_EQ(parameters[0].tensor[0].item<double>(), 13.0);
}

TEST(WeightAverage, SwapsWhereverTheTensorIsHeld) {
  const std::vector<Parameter> parameters = OneParameter(1.0);
  const at::Tensor held = parameters[0].tensor;
  WeightAverage average(parameters, 0.5);
  Set(parameters[0], 5.0);
  {
    const AverageInPlace in_place(average);
    EXPECT_EQ(held[1].item<double>(), 1.0);
    EXPECT_TRUE(held.requires_grad());
  }
  EXPECT_EQ(held[1].item<double>(), 5.0);
  Backward(held.square().sum());  // the leaf is the same
  EXPECT_EQ(parameters[0].tensor.grad()[2].item<double>(), 10.0);
}

TEST(WeightAverage, ContinuesFromAFile) {
  const std::vector<Parameter> parameters = OneParameter(1.0);
  WeightAverage average(parameters, 0.99);
  for (int n = 0; n < 5; ++n) {
    Set(parameters[0], n);
    average.Update();
  }
  const TempDir dir;
  TensorFile saved;
  average.Save(saved);
  WriteSafetensors(dir.File("a.safetensors"), saved);

  const std::vector<Parameter> others = OneParameter(7.0);
  WeightAverage resumed(others, 0.99);
  resumed.Load(ReadSafetensors(dir.File("a.safetensors")));
  Set(parameters[0], 9.0);
  Set(others[0], 9.0);
  average.Update();
  resumed.Update();
  const AverageInPlace one(average), other(resumed);
  EXPECT_TRUE(at::equal(parameters[0].tensor, others[0].tensor));
}

TEST(WeightAverage, RefusesADecayThatIsNone) {
  EXPECT_THROW(WeightAverage(OneParameter(1), 1.0), std::invalid_argument);
  EXPECT_THROW(WeightAverage(OneParameter(1), -0.1), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
