#include "server/queue/schedule.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace svi::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

Leasable Clip(const std::string& id, absl::Duration waited, int priority = 0) {
  Leasable clip;
  clip.video_id = id;
  clip.priority = priority;
  clip.ready_since = kNow - waited;
  clip.video_created = kNow - absl::Hours(1);
  return clip;
}

std::string Choose(const std::vector<Leasable>& clips, const WorkerView& worker = {"w1", {}}) {
  const std::optional<size_t> chosen = ChooseClip(clips, worker, kNow);
  return chosen.has_value() ? clips[*chosen].video_id : "nothing";
}

TEST(Schedule, NothingToDo) { EXPECT_EQ(Choose({}), "nothing"); }

TEST(Schedule, TheLongestWaitingGoesFirst) {
  EXPECT_EQ(Choose({Clip("a", absl::Seconds(1)), Clip("b", absl::Seconds(3)), Clip("c", absl::Seconds(2))}),
            "b");
}

TEST(Schedule, PriorityGoesBeforeWaitingAndBeforeWarmth) {
  EXPECT_EQ(
      Choose({Clip("a", absl::Hours(9), -1), Clip("b", absl::Seconds(0), 1), Clip("c", absl::Hours(1), 0)},
             {"w1", {"a", "c"}}),
      "b");
}

TEST(Schedule, AWarmVideoIsPreferred) {
  const std::vector<Leasable> clips = {Clip("cold", absl::Seconds(50)), Clip("warm", absl::Seconds(1)),
                                       Clip("warmer", absl::Seconds(2))};
  EXPECT_EQ(Choose(clips, {"w1", {"warm", "warmer"}}), "warmer");
  EXPECT_EQ(Choose(clips, {"w1", {"elsewhere"}}), "cold");
}

TEST(Schedule, WarmthIsNotWorthMoreThanTheBound) {
  const WorkerView worker{"w1", {"warm"}};
  const absl::Duration over = kWarmPreferenceBound + absl::Milliseconds(1);
  EXPECT_EQ(Choose({Clip("warm", absl::Seconds(0)), Clip("cold", kWarmPreferenceBound)}, worker), "warm");
  EXPECT_EQ(Choose({Clip("warm", absl::Seconds(0)), Clip("cold", over)}, worker), "cold");
  // The warm one has waited even longer.
  EXPECT_EQ(Choose({Clip("warm", 2 * over), Clip("cold", over)}, worker), "warm");
}

TEST(Schedule, AWarmVideoOfLowerPriorityDoesNotCount) {
  EXPECT_EQ(Choose({Clip("warm", absl::Seconds(9), 0), Clip("cold", absl::Seconds(1), 1)}, {"w1", {"warm"}}),
            "cold");
}

TEST(Schedule, TiesGoToTheOlderVideoThenToTheSmallerId) {
  std::vector<Leasable> clips = {Clip("b", absl::Seconds(1)), Clip("a", absl::Seconds(1))};
  EXPECT_EQ(Choose(clips), "a");
  clips[0].video_created -= absl::Seconds(1);
  EXPECT_EQ(Choose(clips), "b");
}

// One worker, clips of 100 s: an endless video, warm all the time, takes turns with short ones that come in.
TEST(Schedule, AnEndlessVideoDoesNotStarveShortOnes) {
  absl::Time now = kNow;
  std::vector<Leasable> clips = {Clip("endless", absl::Seconds(5)), Clip("short", absl::Seconds(0))};
  std::map<std::string, int> made;
  WorkerView worker{"w1", {}};
  for (int round = 0; round < 10; ++round) {
    const std::optional<size_t> chosen = ChooseClip(clips, worker, now);
    ASSERT_TRUE(chosen.has_value());
    ++made[clips[*chosen].video_id];
    worker.warm_videos = {clips[*chosen].video_id};
    now += absl::Seconds(100);
    clips[*chosen].ready_since = now;
    ++clips[*chosen].clip_index;
  }
  EXPECT_EQ(made["endless"], 5);
  EXPECT_EQ(made["short"], 5);
}

}  // namespace
}  // namespace svi::server
