#include "client/training_progress.h"

#include <gtest/gtest.h>

namespace svi::client {
namespace {

v1::TrainingEvent State(v1::TrainingState state) {
  v1::TrainingEvent event;
  event.mutable_state_changed()->set_state(state);
  return event;
}

v1::TrainingEvent Step(uint32_t step, uint32_t total) {
  v1::TrainingEvent event;
  v1::TrainingProgress& progress = *event.mutable_progress();
  progress.set_step(step);
  progress.set_max_steps(total);
  progress.set_loss(0.07312);
  progress.set_learning_rate(1e-4);
  progress.set_gradient_norm(0.42);
  progress.set_samples_per_second(3.2);
  progress.set_latent_bank_entries(1200);
  progress.mutable_eta()->set_seconds(1500);
  return event;
}

RunProgress Running(const v1::TrainingEvent& event) {
  RunProgress progress;
  progress.Update(State(v1::TRAINING_STATE_RUNNING));
  progress.Update(event);
  return progress;
}

TEST(TrainingProgress, TheBarShowsStepLossRateSpeedBankAndEta) {
  const RunProgress progress = Running(Step(1250, 5000));
  EXPECT_DOUBLE_EQ(progress.Fraction(), 0.25);
  EXPECT_EQ(RenderBar(progress, 92),
            "step 1250/5000 [####--------------]  25% loss 0.07312 lr 1.0e-04 3.20/s bank 1200 ETA 25m00s");
}

TEST(TrainingProgress, ANoiseBankIsShownIfThereIsOne) {
  v1::TrainingEvent event = Step(1, 2);
  event.mutable_progress()->set_noise_bank_entries(7);
  EXPECT_NE(RenderBar(Running(event), 120).find("bank 1200+7 "), std::string::npos);
}

TEST(TrainingProgress, FitsAnyWidth) {
  const RunProgress progress = Running(Step(1, 2));
  for (int width = 0; width < 200; ++width) {
    EXPECT_LE(RenderBar(progress, width).size(), static_cast<size_t>(width));
  }
}

TEST(TrainingProgress, ThePhaseIsShownBeforeTheFirstStep) {
  v1::TrainingEvent event;
  event.mutable_progress()->set_phase("encoding 12 of 300 videos");
  event.mutable_progress()->set_max_steps(10);
  EXPECT_EQ(RenderBar(Running(event), 60), "step 0/10 [-----------------]   0% encoding 12 of 300 videos");
  EXPECT_EQ(DescribeProgress(event.progress()), "encoding 12 of 300 videos");
}

TEST(TrainingProgress, TheStateIsShownWhileItDoesNotRun) {
  RunProgress progress;
  v1::TrainingRun run;
  run.set_state(v1::TRAINING_STATE_QUEUED);
  run.mutable_spec()->set_max_steps(10);
  progress.Start(run);
  EXPECT_EQ(RenderBar(progress, 40), "step 0/10 [----------------]   0% queued");
  // An attempt that failed keeps the step: the next goes on from a checkpoint.
  progress.Update(State(v1::TRAINING_STATE_RUNNING));
  progress.Update(Step(4, 10));
  progress.Update(State(v1::TRAINING_STATE_QUEUED));
  EXPECT_DOUBLE_EQ(progress.Fraction(), 0.4);
}

TEST(TrainingProgress, ALineSaysItAll) {
  EXPECT_EQ(DescribeProgress(Step(120, 5000).progress()),
            "step 120/5000: loss 0.07312, learning rate 0.0001, gradient norm 0.42, 3.20 samples/s, "
            "bank 1200 latent, 0 noise, ETA 25m00s");
}

}  // namespace
}  // namespace svi::client
