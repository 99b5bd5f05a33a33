#include "client/progress_bar.h"

#include <gtest/gtest.h>

namespace svi::client {
namespace {

v1::VideoEvent Denoising(uint32_t clip, uint32_t step, uint32_t total) {
  v1::VideoEvent event;
  event.mutable_progress()->set_clip_index(clip);
  event.mutable_progress()->set_stage(v1::STAGE_DENOISE);
  event.mutable_progress()->set_step(step);
  event.mutable_progress()->set_total(total);
  return event;
}

v1::VideoEvent Done(uint32_t clip) {
  v1::VideoEvent event;
  event.mutable_clip_done()->set_index(clip);
  return event;
}

v1::VideoEvent State(v1::VideoState state) {
  v1::VideoEvent event;
  event.mutable_state_changed()->set_state(state);
  return event;
}

TEST(ProgressBar, ShowsClipStageStepAndEta) {
  VideoProgress progress;
  progress.SetTotal(2);
  progress.Update(State(v1::VIDEO_STATE_RUNNING));
  progress.Update(Done(0));
  v1::VideoEvent event = Denoising(1, 25, 50);
  event.mutable_progress()->mutable_eta()->set_seconds(80);
  progress.Update(event);
  EXPECT_DOUBLE_EQ(progress.Fraction(), (1 + 0.05 + 0.4) / 2);
  EXPECT_EQ(RenderBar(progress, 55), "clip 2/2 [##########-----]  72% denoise 25/50 ETA 1m20s");
}

TEST(ProgressBar, FitsAnyWidth) {
  VideoProgress progress;
  progress.SetTotal(3);
  progress.Update(Denoising(0, 1, 2));
  for (int width = 0; width < 200; ++width) {
    EXPECT_LE(RenderBar(progress, width).size(), static_cast<size_t>(width));
  }
  EXPECT_EQ(RenderBar(progress, 10), "clip 1/3  ");
}

TEST(ProgressBar, ShowsTheStateBetweenClips) {
  VideoProgress progress;
  progress.SetTotal(2);
  EXPECT_DOUBLE_EQ(VideoProgress().Fraction(), 0);
  progress.Update(State(v1::VIDEO_STATE_QUEUED));
  EXPECT_EQ(RenderBar(progress, 40), "clip 0/2 [-----------------]   0% queued");
}

TEST(ProgressBar, LateProgressOfALandedClipSaysNothing) {
  VideoProgress progress;
  progress.SetTotal(2);
  progress.Update(Done(0));
  progress.Update(Denoising(0, 1, 2));
  EXPECT_DOUBLE_EQ(progress.Fraction(), 0.5);
}

TEST(ProgressBar, AFailedAttemptTakesItsProgressBack) {
  VideoProgress progress;
  progress.SetTotal(1);
  progress.Update(Denoising(0, 1, 2));
  EXPECT_GT(progress.Fraction(), 0);
  v1::VideoEvent failed;
  failed.mutable_clip_attempt_failed();
  progress.Update(failed);
  EXPECT_DOUBLE_EQ(progress.Fraction(), 0);
}

TEST(ProgressBar, AppendedPromptsRaiseTheTotal) {
  VideoProgress progress;
  progress.SetTotal(1);
  progress.Update(Done(0));
  v1::VideoEvent changed;
  changed.mutable_prompts_changed()->set_clips_total(4);
  progress.Update(changed);
  EXPECT_DOUBLE_EQ(progress.Fraction(), 0.25);
}

TEST(ProgressBar, DurationsAreShort) {
  EXPECT_EQ(ShortDuration(absl::Seconds(45)), "45s");
  EXPECT_EQ(ShortDuration(absl::Seconds(200)), "3m20s");
  EXPECT_EQ(ShortDuration(absl::Minutes(65)), "1h05m");
  EXPECT_EQ(ShortDuration(-absl::Seconds(1)), "0s");
}

}  // namespace
}  // namespace svi::client
