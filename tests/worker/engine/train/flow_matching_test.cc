// Against SVI's own scheduler and grids (tests/golden/components/make_fixtures.py).
#include "worker/engine/train/flow_matching.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

double MaxError(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor ToTensor(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

class FlowMatchingTest : public testing::Test {
 protected:
  const std::map<std::string, at::Tensor> golden_ =
      ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/components/svi_train.safetensors").tensors;
};

TEST_F(FlowMatchingTest, TablesEqualTheReference) {
  for (const double shift : {5.0, 3.0}) {
    const std::string key = "shift" + std::to_string(static_cast<int>(shift)) + ".";
    SCOPED_TRACE(key);
    const TrainSchedule schedule = MakeTrainSchedule(shift);
    EXPECT_LE(MaxError(ToTensor(schedule.sigmas), golden_.at(key + "sigmas")), 1e-6);
    EXPECT_LE(MaxError(ToTensor(schedule.timesteps), golden_.at(key + "timesteps")), 2e-4);
    EXPECT_LE(MaxError(ToTensor(schedule.loss_weights), golden_.at(key + "weights")), 5e-6);
    EXPECT_TRUE(at::equal(at::tensor(schedule.grids, at::kLong), golden_.at(key + "grids")));
  }
}

TEST_F(FlowMatchingTest, GridsOfShiftFive) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0);
  std::vector<int64_t> counts(kErrorGrids);
  for (const int64_t grid : schedule.grids) ++counts.at(static_cast<size_t>(grid));
  EXPECT_EQ(counts.front(), 11);
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 20), 48);
  EXPECT_EQ(counts.back(), 29);
  EXPECT_EQ(schedule.grids.front(), 0);
  EXPECT_TRUE(std::is_sorted(schedule.grids.begin(), schedule.grids.end()));
}

TEST_F(FlowMatchingTest, WeightsVanishAtPureNoiseAndSumToTheirCount) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0);
  EXPECT_EQ(schedule.loss_weights.at(0), 0.0);
  EXPECT_NEAR(schedule.loss_weights.at(833), 2.076, 1e-3);
  double sum = 0;
  for (const double weight : schedule.loss_weights) sum += weight;
  EXPECT_NEAR(sum, 1000.0, 1e-9);
}

TEST_F(FlowMatchingTest, UniformWeightsCountPureNoiseToo) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0, LossWeighting::kUniform);
  EXPECT_EQ(schedule.loss_weights, std::vector<double>(1000, 1.0));
  EXPECT_EQ(schedule.sigmas, MakeTrainSchedule(5.0).sigmas);
}

TEST_F(FlowMatchingTest, StepsEqualTheReference) {
  const std::string marker = ".in.latents";
  int steps = 0;
  for (const auto& [name, latents] : golden_) {
    if (!name.ends_with(marker)) continue;
    ++steps;
    const std::string step = name.substr(0, name.size() - marker.size() + 1);
    SCOPED_TRACE(step);
    const auto optional = [&](const std::string& tensor) {
      return golden_.contains(step + tensor) ? golden_.at(step + tensor) : at::Tensor();
    };
    const auto index = golden_.at(step + "in.timestep_index").item<int64_t>();
    const TrainSchedule schedule = MakeTrainSchedule(step.starts_with("shift5") ? 5.0 : 3.0);
    const NoisyLatents noisy = MakeNoisy(schedule, index, latents, golden_.at(step + "in.noise"),
                                         optional("in.noise_error"), optional("in.latent_error"));
    EXPECT_LE(MaxError(noisy.input, golden_.at(step + "noisy_input")), 2e-6);
    EXPECT_LE(MaxError(noisy.target, golden_.at(step + "target")), 2e-6);
    const at::Tensor miss = golden_.at(step + "in.prediction") - noisy.target;
    const OneStepErrors errors = MakeErrors(schedule, index, miss);
    const at::Tensor loss = WeightedLoss(schedule, index, miss);
    // The reference takes the errors as differences of one-step predictions, which costs digits.
    EXPECT_LE(MaxError(errors.noise, golden_.at(step + "noise_error")), 2e-6);
    EXPECT_LE(MaxError(errors.latent, golden_.at(step + "latent_error")), 2e-6);
    EXPECT_EQ(loss.dim(), 0);
    EXPECT_EQ(loss.scalar_type(), at::kFloat);
    EXPECT_LE(MaxError(loss, golden_.at(step + "loss")), 2e-6 * std::max(1.0, loss.item<double>()));
  }
  EXPECT_EQ(steps, 9);
}

// Errors go into the input; the target knows the noise's but not the latents'.
TEST_F(FlowMatchingTest, OnlyTheNoisesErrorIsInTheTarget) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0);
  const at::Tensor zero = at::zeros({2}), one = at::ones({2});
  const NoisyLatents noisy = MakeNoisy(schedule, 500, zero, zero, one, one * 3);
  EXPECT_TRUE(at::equal(noisy.target, one));
  const double sigma = schedule.sigmas.at(500);
  EXPECT_LE(MaxError(noisy.input, one * (3 * (1 - sigma) + sigma)), 1e-6);
  const OneStepErrors errors = MakeErrors(schedule, 500, zero - noisy.target);
  EXPECT_LE(MaxError(errors.noise + one * (1 - sigma), zero), 1e-6);
  EXPECT_LE(MaxError(errors.latent - one * sigma, zero), 1e-6);
}

// svi-5b.md, "exact corrective target": following it from the corrupted input ends at the clean latents.
TEST_F(FlowMatchingTest, TheExactTargetLeadsToTheCleanLatents) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0);
  const at::Tensor x = at::tensor({1.0f, -2.0f}), noise = at::tensor({0.5f, 0.25f});
  const NoisyLatents noisy = MakeNoisy(schedule, 700, x, noise, {}, x * 0.1, /*exact_target=*/true);
  EXPECT_LE(MaxError(noisy.input - noisy.target * schedule.sigmas.at(700), x), 1e-6);
}

TEST_F(FlowMatchingTest, RefusesOtherIndicesAndShapes) {
  const TrainSchedule schedule = MakeTrainSchedule(5.0);
  const at::Tensor x = at::zeros({2});
  EXPECT_THROW((void)MakeNoisy(schedule, -1, x, x, {}, {}), std::invalid_argument);
  EXPECT_THROW((void)MakeNoisy(schedule, 1000, x, x, {}, {}), std::invalid_argument);
  EXPECT_THROW((void)MakeNoisy(schedule, 0, x, at::zeros({3}), {}, {}), std::invalid_argument);
  EXPECT_THROW((void)MakeNoisy(schedule, 0, x, x, {}, at::zeros({1})), std::invalid_argument);
  EXPECT_THROW((void)MakeTrainSchedule(0), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
