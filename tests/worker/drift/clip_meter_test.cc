#include "worker/drift/clip_meter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/drift/scenes.h"
#include "worker/drift/drift.h"

namespace svi::drift {
namespace {

ClipMeter Meter(const std::vector<engine::Picture>& frames, engine::Picture reference = {}) {
  ClipMeter meter(std::move(reference));
  for (const engine::Picture& frame : frames) EXPECT_TRUE(meter.Add(frame).ok());
  return meter;
}

TEST(ClipMeter, PlainFramesByHand) {
  // Luma of (200, 100, 50): 0.2126·200 + 0.7152·100 + 0.0722·50 = 117.65 levels; saturation (200 - 50) / 200.
  const ClipMeasures m = Meter({Plain(20, 10, {200, 100, 50}), Plain(20, 10, {200, 100, 50})}).measures();
  EXPECT_NEAR(m.brightness, 117.65 / 255, 1e-12);
  EXPECT_NEAR(m.contrast, 0, 1e-9);
  EXPECT_NEAR(m.saturation, 0.75, 1e-7);
  EXPECT_EQ(m.sharpness, 0);
  EXPECT_EQ(m.motion, 0);
  for (int i = 0; i < 48; ++i) {
    EXPECT_EQ(m.histogram[i], i == 200 / 16 || i == 16 + 100 / 16 || i == 32 + 50 / 16 ? 1 : 0) << i;
  }
}

TEST(ClipMeter, BlackAndWhiteHalvesByHand) {
  // 4 x 4: the left half black, the right half white.
  engine::Picture halves = Plain(4, 4, {0, 0, 0});
  for (int y = 0; y < 4; ++y) std::fill_n(halves.rgb.begin() + 3 * (4 * y + 2), 6, 255);
  const ClipMeasures m = Meter({halves}).measures();
  EXPECT_NEAR(m.brightness, 0.5, 1e-12);
  EXPECT_NEAR(m.contrast, 0.5, 1e-12);
  EXPECT_EQ(m.saturation, 0) << "neither black nor white has a colour";
  EXPECT_NEAR(m.sharpness, 1, 1e-12) << "each inner pixel has one neighbour on the other side";
  EXPECT_EQ(m.motion, 0) << "a single frame";
  EXPECT_EQ(m.histogram[0], 0.5);
  EXPECT_EQ(m.histogram[15], 0.5);
}

TEST(ClipMeter, MotionIsTheMeanOfNeighbouringFrames) {
  // Grey levels 0, 10, 40: differences 10 and 30, mean 20. Brightness: 50 / 3.
  const ClipMeasures m =
      Meter({Plain(9, 9, {0, 0, 0}), Plain(9, 9, {10, 10, 10}), Plain(9, 9, {40, 40, 40})}).measures();
  EXPECT_NEAR(m.motion, 20.0 / 255, 1e-12);
  EXPECT_NEAR(m.brightness, 50.0 / 3 / 255, 1e-12);
  EXPECT_NEAR(m.contrast, 0, 1e-9) << "of each frame, not of the fade";
}

TEST(ClipMeter, RefusesFramesOfOtherSizes) {
  ClipMeter meter{engine::Picture{}};
  EXPECT_TRUE(meter.Add(Plain(16, 8, {1, 1, 1})).ok());
  EXPECT_EQ(meter.Add(Plain(8, 16, {1, 1, 1})).code(), absl::StatusCode::kInvalidArgument);
  engine::Picture cut = Plain(16, 8, {1, 1, 1});
  cut.rgb.pop_back();
  EXPECT_EQ(meter.Add(cut).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(meter.frames(), 1);
  ClipMeter with_reference(Plain(16, 16, {1, 1, 1}));
  EXPECT_EQ(with_reference.Add(Plain(16, 8, {1, 1, 1})).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClipMeter, StillFramesLikeThePictureAreAlikeWithoutLimit) {
  const engine::Picture picture = Render({.side = 64, .frames = 1})[0];
  const StillSimilarity still = Meter({picture, picture}, picture).still();
  EXPECT_EQ(still.share, 1);
  EXPECT_EQ(still.psnr, 100);
  ASSERT_TRUE(still.ssim.has_value());
  EXPECT_NEAR(*still.ssim, 1, 1e-12);
}

TEST(ClipMeter, WhatMovesIsLeftOut) {
  // The object is neither where it was in the picture nor does it stand still, and yet nothing has drifted.
  const std::vector<engine::Picture> frames = Render({.dx = 2});
  const StillSimilarity still = Meter(frames, frames[0]).still();
  EXPECT_GT(still.share, 0.7);
  EXPECT_LT(still.share, 0.95);
  EXPECT_EQ(still.psnr, 100);
}

TEST(ClipMeter, WhereAnObjectHasLongGoneFromIsForgiven) {
  const std::vector<engine::Picture> frames = Render({.x = 90, .y = 90, .dx = 1});
  const engine::Picture picture = Render({.frames = 1, .x = 10, .y = 10})[0];
  EXPECT_EQ(Meter(frames, picture).still().psnr, 100);
}

TEST(ClipMeter, DriftOfTheBackgroundIsSeen) {
  const std::vector<engine::Picture> frames = Render({.frames = 17, .dx = 2});
  std::vector<engine::Picture> brighter = frames;
  for (engine::Picture& frame : brighter) {
    for (uint8_t& level : frame.rgb) level = static_cast<uint8_t>(level + 5);
  }
  const StillSimilarity still = Meter(brighter, frames[0]).still();
  ASSERT_TRUE(still.psnr.has_value());
  EXPECT_NEAR(*still.psnr, 20 * std::log10(255.0 / 5), 1e-9);
}

TEST(ClipMeter, NothingStillNothingToCompare) {
  const std::vector<engine::Picture> frames = {Plain(32, 32, {0, 0, 0}), Plain(32, 32, {90, 90, 90})};
  const StillSimilarity still = Meter(frames, frames[0]).still();
  EXPECT_EQ(still.share, 0);
  EXPECT_FALSE(still.psnr.has_value());
  EXPECT_FALSE(still.ssim.has_value());
}

TEST(ClipMeter, WithoutAPictureOnlyTheShareIsKnown) {
  const StillSimilarity still = Meter(Render({.side = 32, .frames = 2, .object = 8})).still();
  EXPECT_EQ(still.share, 1);
  EXPECT_FALSE(still.psnr.has_value());
}

TEST(Drift, OfAClipToItselfIsZero) {
  const std::vector<engine::Picture> frames = Render({.dx = 1.5, .grain = 4});
  const ClipMeter meter = Meter(frames, frames[0]);
  const ClipDrift drift = DriftFrom(meter.measures(), meter.measures(), meter.still());
  EXPECT_EQ(drift.brightness, 0);
  EXPECT_EQ(drift.contrast, 0);
  EXPECT_EQ(drift.saturation, 0);
  EXPECT_EQ(drift.sharpness, 0);
  EXPECT_EQ(drift.motion, 0);
  EXPECT_EQ(drift.histogram_distance, 0);
  EXPECT_TRUE(drift.static_psnr.has_value());
}

TEST(Drift, DifferencesAndRatios) {
  ClipMeasures first, clip;
  first.brightness = 0.5, clip.brightness = 0.4;
  first.contrast = 0.1, clip.contrast = 0.3;
  first.saturation = 0.2, clip.saturation = 0.25;
  first.sharpness = 0.02, clip.sharpness = 0.05;
  first.motion = 0.01, clip.motion = 0.0;
  const ClipDrift drift = DriftFrom(first, clip, {});
  EXPECT_NEAR(drift.brightness, -0.1, 1e-12);
  EXPECT_NEAR(drift.contrast, 0.2, 1e-12);
  EXPECT_NEAR(drift.saturation, 0.05, 1e-12);
  EXPECT_NEAR(drift.sharpness, 1.5, 1e-12);
  EXPECT_NEAR(drift.motion, 0.1 / 255 / 0.01 - 1, 1e-12) << "a tenth of a level stands for less";
  EXPECT_FALSE(drift.static_psnr.has_value());
}

TEST(Drift, ARatioToNothingIsANumber) {
  ClipMeasures still, moving;
  moving.motion = 1;
  EXPECT_EQ(DriftFrom(still, still, {}).motion, 0);
  EXPECT_NEAR(DriftFrom(still, moving, {}).motion, 2549, 1e-6);
}

TEST(Drift, HistogramDistanceIsHowFarLevelsMove) {
  ClipMeasures a, b;
  for (int channel = 0; channel < 3; ++channel) a.histogram[16 * channel] = b.histogram[16 * channel] = 1;
  EXPECT_EQ(HistogramDistance(a, b), 0);
  b.histogram[0] = 0, b.histogram[15] = 1;  // red from one end to the other
  EXPECT_NEAR(HistogramDistance(a, b), 1.0 / 3, 1e-12);
  b.histogram[15] = 0, b.histogram[3] = 0.5, b.histogram[0] = 0.5;  // half of it three bins on
  EXPECT_NEAR(HistogramDistance(a, b), 0.5 * 3 / 15 / 3, 1e-12);
}

}  // namespace
}  // namespace svi::drift
