#include "worker/engine/train/train_step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace svi::engine {
namespace {

constexpr int64_t kChannels = 3, kSlots = 5, kHeight = 4, kWidth = 6;
constexpr int64_t kTokensASlot = kHeight / 2 * kWidth / 2;

class TrainStepTest : public testing::Test {
 protected:
  at::Tensor Random(int64_t slots) {
    return at::randn({kChannels, slots, kHeight, kWidth}, random_, at::kFloat);
  }
  DrawnSample Sample(int64_t clean_slots, int64_t history_slots) {
    DrawnSample drawn;
    drawn.sample.latents = Random(kSlots);
    drawn.sample.clean_slots = clean_slots;
    drawn.sample.history_slots = history_slots;
    drawn.sample.prompt = at::randn({7, 8}, random_, at::kFloat);
    drawn.timestep_index = 400;
    drawn.noise = Random(kSlots - clean_slots);
    return drawn;
  }

  at::Generator random_ = at::detail::createCPUGenerator(3);
  const TrainSchedule schedule_ = MakeTrainSchedule(5.0);
};

TEST_F(TrainStepTest, CleanSlotsStandAsTheyAreWithTimestepZero) {
  const DrawnSample a = Sample(1, 0), b = Sample(2, 1);
  const StepBatch batch = MakeBatch(schedule_, {a, b}, false);
  EXPECT_EQ(batch.hidden.sizes(), (std::vector<int64_t>{2, kChannels, kSlots, kHeight, kWidth}));
  EXPECT_TRUE(at::equal(batch.hidden[0].narrow(1, 0, 1), a.sample.latents.narrow(1, 0, 1)));
  EXPECT_TRUE(at::equal(batch.hidden[1].narrow(1, 0, 2), b.sample.latents.narrow(1, 0, 2)));
  const double t = schedule_.timesteps.at(400);
  for (int64_t token = 0; token < kSlots * kTokensASlot; ++token) {
    EXPECT_EQ(batch.timestep[0][token].item<double>(), token < kTokensASlot ? 0 : t);
    EXPECT_EQ(batch.timestep[1][token].item<double>(), token < 2 * kTokensASlot ? 0 : t);
  }
}

TEST_F(TrainStepTest, NoisyTargetsFollowTheFormula) {
  const DrawnSample drawn = Sample(2, 1);
  const StepBatch batch = MakeBatch(schedule_, {drawn}, false);
  const double sigma = schedule_.sigmas.at(400);
  const at::Tensor clean = drawn.sample.latents.narrow(1, 2, 3);
  EXPECT_TRUE(
      at::allclose(batch.hidden[0].narrow(1, 2, 3), clean * (1 - sigma) + drawn.noise * sigma, 1e-6, 1e-6));
  EXPECT_TRUE(at::allclose(batch.target[0], drawn.noise - clean, 1e-6, 1e-6));
}

TEST_F(TrainStepTest, PromptsArePaddedWithZeroRowsAsAtInference) {
  const DrawnSample drawn = Sample(1, 0);
  const StepBatch batch = MakeBatch(schedule_, {drawn}, false);
  EXPECT_EQ(batch.text.sizes(), (std::vector<int64_t>{1, 512, 8}));
  EXPECT_TRUE(at::equal(batch.text[0].narrow(0, 0, 7), drawn.sample.prompt));
  EXPECT_EQ(batch.text[0].narrow(0, 7, 505).abs().max().item<float>(), 0);
}

TEST_F(TrainStepTest, HistoryErrorsNeverReachTheAnchor) {
  DrawnSample drawn = Sample(2, 1);
  drawn.injection.history_error = Random(1);
  const StepBatch batch = MakeBatch(schedule_, {drawn}, false);
  EXPECT_TRUE(at::equal(batch.hidden[0].narrow(1, 0, 1), drawn.sample.latents.narrow(1, 0, 1)));
  EXPECT_TRUE(at::allclose(batch.hidden[0].narrow(1, 1, 1),
                           drawn.sample.latents.narrow(1, 1, 1) + drawn.injection.history_error));
  // The corrupted slot is still a condition: timestep 0, and no part of the target.
  EXPECT_EQ(batch.timestep[0].narrow(0, 0, 2 * kTokensASlot).abs().max().item<double>(), 0);
  EXPECT_EQ(batch.target[0].size(1), kSlots - 2);

  drawn.injection.history_error = Random(2);
  EXPECT_THROW((void)MakeBatch(schedule_, {drawn}, false), std::invalid_argument);
}

TEST_F(TrainStepTest, ErrorsOfFewerSlotsStandInTheLastTargets) {
  DrawnSample drawn = Sample(1, 0);  // four targets
  drawn.injection.latent_error = Random(3);
  drawn.injection.noise_error = Random(3);
  const StepBatch with = MakeBatch(schedule_, {drawn}, false);
  DrawnSample plain = drawn;
  plain.injection = {};
  const StepBatch without = MakeBatch(schedule_, {plain}, false);
  const double sigma = schedule_.sigmas.at(400);
  const at::Tensor difference = with.hidden[0] - without.hidden[0];
  EXPECT_EQ(difference.narrow(1, 0, 2).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::allclose(difference.narrow(1, 2, 3),
                           drawn.injection.latent_error * (1 - sigma) + drawn.injection.noise_error * sigma,
                           1e-4, 1e-6));
}

// What the model says about the clean slots is nobody's business.
TEST_F(TrainStepTest, CleanSlotsAreNotInTheLoss) {
  const DrawnSample a = Sample(1, 0), b = Sample(2, 1);
  const StepBatch batch = MakeBatch(schedule_, {a, b}, false);
  at::Tensor prediction = at::randn(batch.hidden.sizes(), random_, at::kFloat);
  const at::Tensor loss = SummedLoss(schedule_, batch, prediction);
  at::Tensor other = prediction.clone();
  other[0].narrow(1, 0, 1).add_(100);
  other[1].narrow(1, 0, 2).add_(100);
  EXPECT_TRUE(at::equal(SummedLoss(schedule_, batch, other), loss));

  const double weight = schedule_.loss_weights.at(400);
  const at::Tensor expected =
      (Miss(batch, prediction, 0).square().mean() + Miss(batch, prediction, 1).square().mean()) * weight;
  EXPECT_TRUE(at::allclose(loss, expected));
}

}  // namespace
}  // namespace svi::engine
