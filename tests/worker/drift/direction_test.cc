#include "worker/drift/direction.h"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/worker/drift/scenes.h"

namespace svi::drift {
namespace {

DominantMotion MotionOf(const std::vector<engine::Picture>& frames) {
  DirectionMeter meter;
  for (const engine::Picture& frame : frames) meter.Add(frame);
  return meter.motion();
}

struct Heading {
  Direction direction;
  int dx, dy;
};
constexpr Heading kHeadings[] = {
    {Direction::kLeft, -1, 0}, {Direction::kRight, 1, 0}, {Direction::kUp, 0, -1}, {Direction::kDown, 0, 1}};

// Speed in pixels a frame, and how soft and how noisy a model paints.
class EverySpeedAndSoftness : public testing::TestWithParam<std::tuple<double, int, int>> {};

TEST_P(EverySpeedAndSoftness, TellsWhereTheObjectGoes) {
  const auto [speed, blur, grain] = GetParam();
  for (const Heading& heading : kHeadings) {
    // Starts: in the middle, and such that it crosses the border of the frame on its way.
    for (const double start : {50.0, 3.0, 99.0}) {
      MovingScene scene;
      scene.x = scene.y = start;
      scene.dx = heading.dx * speed;
      scene.dy = heading.dy * speed;
      scene.blur = blur;
      scene.grain = grain;
      const DominantMotion motion = MotionOf(Render(scene));
      EXPECT_EQ(motion.direction, heading.direction)
          << "from " << start << ": " << motion.x << " " << motion.y;
      EXPECT_GT(motion.confidence, 0.3);
      EXPECT_NEAR(heading.dx * motion.x + heading.dy * motion.y, speed, 0.5 * speed);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, EverySpeedAndSoftness,
                         testing::Combine(testing::Values(1.0, 1.5, 2.0), testing::Values(0, 2),
                                          testing::Values(0, 5)));

TEST(Direction, WhatStandsStillGoesNowhere) {
  MovingScene scene;
  const DominantMotion motion = MotionOf(Render(scene));
  EXPECT_EQ(motion.direction, Direction::kStill);
  EXPECT_EQ(motion.confidence, 1);
  scene.grain = 5;
  EXPECT_EQ(MotionOf(Render(scene)).direction, Direction::kStill) << "noise does not move";
}

// Brightness that changes everywhere is no motion.
TEST(Direction, AFadeGoesNowhere) {
  MovingScene scene;
  scene.fade = 5;
  const DominantMotion motion = MotionOf(Render(scene));
  EXPECT_EQ(motion.direction, Direction::kStill) << motion.x << " " << motion.y;
}

// A model that has learnt nothing of direction lets an object dissolve and appear elsewhere.
TEST(Direction, WhatVanishesAndAppearsGoesNowhere) {
  MovingScene here, there;
  there.x = 80;
  there.y = 20;
  const std::vector<engine::Picture> from = Render(here), to = Render(there);
  std::vector<engine::Picture> frames = from;
  for (size_t i = 0; i < frames.size(); ++i) {
    const double share = static_cast<double>(i) / 16;
    for (size_t at = 0; at < frames[i].rgb.size(); ++at) {
      frames[i].rgb[at] = static_cast<uint8_t>((1 - share) * from[i].rgb[at] + share * to[i].rgb[at]);
    }
  }
  const DominantMotion motion = MotionOf(frames);
  EXPECT_EQ(motion.direction, Direction::kStill) << motion.x << " " << motion.y << " " << motion.confidence;
}

TEST(Direction, LargeFramesAreAveragedDownAndTheShiftIsInTheirPixels) {
  MovingScene scene;
  scene.side = 520;  // three times down
  scene.object = 100;
  scene.dx = 5;
  scene.frames = 5;
  const DominantMotion motion = MotionOf(Render(scene));
  EXPECT_EQ(motion.direction, Direction::kRight);
  EXPECT_NEAR(motion.x, 5, 2);
}

TEST(Direction, OneFrameOrNoneIsStill) {
  EXPECT_EQ(MotionOf({}).direction, Direction::kStill);
  EXPECT_EQ(MotionOf({Plain(32, 32, {1, 2, 3})}).direction, Direction::kStill);
}

}  // namespace
}  // namespace svi::drift
