#include "worker/engine/train/adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <stdexcept>

#include "tests/worker/engine/train/small_model.h"
#include "worker/engine/train/learning_rate.h"
#include "worker/engine/train/training_state.h"

namespace svi::engine {
namespace {

const AdamWOptions kOptions = {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};
const LearningRateOptions kCosine = {
    .base = 1e-2, .schedule = LearningRateSchedule::kCosine, .warmup_steps = 2, .total_steps = 8};

std::vector<Parameter> SeededParameters() {
  std::vector<Parameter> parameters;
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{5, 3}, {7}, {1, 2, 4}}) {
    const uint64_t index = parameters.size();
    parameters.push_back(
        {std::to_string(index), SeededUniform(20 + index, shape, 1.0).set_requires_grad(true)});
  }
  return parameters;
}

// Puts the fixture's gradients of this step in place and clips them. Returns their norm.
double MakeGradients(const std::vector<Parameter>& parameters, int64_t step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor tensor = parameters[i].tensor;
    tensor.mutable_grad() =
        SeededUniform(static_cast<uint64_t>(100 + 10 * step) + i, tensor.sizes(), step % 2 == 1 ? 0.1 : 2.0);
  }
  const double norm = GradientNorm(parameters);
  ClipGradients(parameters, norm, 1.0);
  return norm;
}

void TakeSteps(AdamW& optimiser, const std::vector<Parameter>& parameters, int64_t begin, int64_t end) {
  for (int64_t step = begin; step < end; ++step) {
    MakeGradients(parameters, step);
    optimiser.Step(LearningRateAt(kCosine, step));
  }
}

TEST(AdamW, TakesPyTorchsStepsWithItsClippingAndSchedule) {
  const TensorFile expected = ReadSafetensors(TrainGolden("adamw"));
  const std::vector<Parameter> parameters = SeededParameters();
  AdamW optimiser(parameters, kOptions);
  for (int64_t step = 0; step < 6; ++step) {
    const double norm = MakeGradients(parameters, step);
    EXPECT_NEAR(norm, expected.tensors.at("norms")[step].item<double>(), 1e-5 * norm);
    optimiser.Step(LearningRateAt(kCosine, step));
    for (const Parameter& parameter : parameters) {
      const at::Tensor& after = expected.tensors.at(std::to_string(step) + "." + parameter.name);
      EXPECT_LE(RelativeDifference(parameter.tensor, after), 1e-6) << step << " " << parameter.name;
    }
  }
  EXPECT_EQ(optimiser.steps(), 6);
}

TEST(AdamW, ContinuesFromAFileBitForBit) {
  const std::vector<Parameter> undisturbed = SeededParameters();
  AdamW whole(undisturbed, kOptions);
  TakeSteps(whole, undisturbed, 0, 6);

  const TempDir dir;
  const std::vector<Parameter> first = SeededParameters();
  AdamW before(first, kOptions);
  TakeSteps(before, first, 0, 3);
  TensorFile saved;
  before.Save(saved);
  SaveParameters(saved, first);
  WriteSafetensors(dir.File("state.safetensors"), saved);

  const std::vector<Parameter> second = SeededParameters();
  AdamW after(second, kOptions);
  const TensorFile read = ReadSafetensors(dir.File("state.safetensors"));
  LoadParameters(read, second);
  after.Load(read);
  EXPECT_EQ(after.steps(), 3);
  TakeSteps(after, second, 3, 6);
  for (size_t i = 0; i < second.size(); ++i) {
    EXPECT_TRUE(at::equal(second[i].tensor, undisturbed[i].tensor));
    EXPECT_TRUE(second[i].tensor.requires_grad());
  }
}

TEST(AdamW, AStateThatIsNotItsOwnIsRefusedByName) {
  const std::vector<Parameter> parameters = SeededParameters();
  AdamW optimiser(parameters, kOptions);
  TakeSteps(optimiser, parameters, 0, 2);
  TensorFile saved;
  optimiser.Save(saved);
  const auto refusal = [&](const TensorFile& file) -> std::string {
    try {
      optimiser.Load(file);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  TensorFile missing = saved, misshapen = saved, negative = saved;
  missing.tensors.erase("optimizer.exp_avg_sq.1");
  EXPECT_EQ(refusal(missing), "training state: optimizer.exp_avg_sq.1 is missing");
  misshapen.tensors["optimizer.exp_avg.0"] = at::zeros({3, 5});
  EXPECT_EQ(refusal(misshapen), "training state: optimizer.exp_avg.0 is Float [3, 5], expected Float [5, 3]");
  negative.tensors["optimizer.step"] = at::scalar_tensor(-1, at::kLong);
  EXPECT_EQ(refusal(negative), "training state: optimizer.step must not be negative");
  EXPECT_EQ(optimiser.steps(), 2);
  EXPECT_EQ(refusal(saved), "");
}

TEST(AdamW, AParameterWithoutAGradientIsAMistake) {
  const std::vector<Parameter> parameters = SeededParameters();
  AdamW optimiser(parameters, kOptions);
  EXPECT_THROW(optimiser.Step(1e-3), std::invalid_argument);
  EXPECT_EQ(optimiser.steps(), 0);
  EXPECT_THROW(AdamW(parameters, {.beta1 = 1.0}), std::invalid_argument);
  EXPECT_THROW(AdamW(parameters, {.weight_decay = -0.1}), std::invalid_argument);
}

TEST(GradientNorm, IsThatOfAllTogetherAndClippingKeepsTheDirection) {
  std::vector<Parameter> parameters = SeededParameters();
  EXPECT_EQ(GradientNorm(parameters), 0.0);
  parameters[0].tensor.mutable_grad() = at::full({5, 3}, 3.0 / std::sqrt(15.0));
  parameters[1].tensor.mutable_grad() = at::full({7}, 4.0 / std::sqrt(7.0));
  EXPECT_NEAR(GradientNorm(parameters), 5.0, 1e-6);
  ClipGradients(parameters, 5.0, 10.0);
  EXPECT_NEAR(GradientNorm(parameters), 5.0, 1e-6);
  ClipGradients(parameters, 5.0, 1.0);
  EXPECT_NEAR(GradientNorm(parameters), 1.0, 1e-6);
  EXPECT_NEAR(parameters[1].tensor.grad()[0].item<double>(), 0.8 / std::sqrt(7.0), 1e-6);
  ClearGradients(parameters);
  EXPECT_FALSE(parameters[0].tensor.grad().defined());
}

TEST(LearningRate, IsDiffusersAtEveryStep) {
  const TensorFile expected = ReadSafetensors(TrainGolden("learning_rates"));
  LearningRateOptions options = {.base = 2e-4, .warmup_steps = 5, .total_steps = 20};
  for (const auto& [name, schedule] :
       std::map<std::string, LearningRateSchedule>{{"constant_with_warmup", LearningRateSchedule::kConstant},
                                                   {"cosine", LearningRateSchedule::kCosine},
                                                   {"linear", LearningRateSchedule::kLinear}}) {
    options.schedule = schedule;
    const at::Tensor& rates = expected.tensors.at(name);
    for (int64_t step = 0; step < rates.size(0); ++step) {
      EXPECT_NEAR(LearningRateAt(options, step), rates[step].item<double>(), 1e-18) << name << " " << step;
    }
  }
}

TEST(LearningRate, StaysAtTheFloorBehindTheEnd) {
  LearningRateOptions options = {.base = 1.0, .warmup_steps = 2, .total_steps = 10, .final_ratio = 0.1};
  for (const auto schedule : {LearningRateSchedule::kCosine, LearningRateSchedule::kLinear}) {
    options.schedule = schedule;
    EXPECT_NEAR(LearningRateAt(options, 6), 0.55, 1e-12);
    EXPECT_NEAR(LearningRateAt(options, 10), 0.1, 1e-12);
    EXPECT_NEAR(LearningRateAt(options, 1000), 0.1, 1e-12);
  }
  options.total_steps = 0;  // the warm-up is all there is
  EXPECT_NEAR(LearningRateAt(options, 1), 0.5, 1e-12);
  EXPECT_NEAR(LearningRateAt(options, 3), 0.1, 1e-12);
}

}  // namespace
}  // namespace svi::engine
