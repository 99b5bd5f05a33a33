#include "server/queue/schedule.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
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

std::string Choose(const std::vector<Leasable>& clips, const WorkerView& worker = {"w1", {}, {}},
                   const FleetView& fleet = {}) {
  const std::optional<size_t> chosen = ChooseClip(clips, worker, fleet, kNow);
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
             {"w1", {"a", "c"}, {}}),
      "b");
}

TEST(Schedule, AWarmVideoIsPreferred) {
  const std::vector<Leasable> clips = {Clip("cold", absl::Seconds(50)), Clip("warm", absl::Seconds(1)),
                                       Clip("warmer", absl::Seconds(2))};
  EXPECT_EQ(Choose(clips, {"w1", {"warm", "warmer"}, {}}), "warmer");
  EXPECT_EQ(Choose(clips, {"w1", {"elsewhere"}, {}}), "cold");
}

TEST(Schedule, WarmthIsNotWorthMoreThanTheBound) {
  const WorkerView worker{"w1", {"warm"}, {}};
  const absl::Duration over = kWarmPreferenceBound + absl::Milliseconds(1);
  EXPECT_EQ(Choose({Clip("warm", absl::Seconds(0)), Clip("cold", kWarmPreferenceBound)}, worker), "warm");
  EXPECT_EQ(Choose({Clip("warm", absl::Seconds(0)), Clip("cold", over)}, worker), "cold");
  // The warm one has waited even longer.
  EXPECT_EQ(Choose({Clip("warm", 2 * over), Clip("cold", over)}, worker), "warm");
}

TEST(Schedule, AWarmVideoOfLowerPriorityDoesNotCount) {
  EXPECT_EQ(
      Choose({Clip("warm", absl::Seconds(9), 0), Clip("cold", absl::Seconds(1), 1)}, {"w1", {"warm"}, {}}),
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
  WorkerView worker{"w1", {}, {}};
  for (int round = 0; round < 10; ++round) {
    const std::optional<size_t> chosen = ChooseClip(clips, worker, {}, now);
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

Leasable WithLoras(Leasable clip, std::vector<std::string> loras) {
  clip.loras = std::move(loras);
  return clip;
}

TEST(Schedule, AClipWithLorasGoesToAWorkerThatHasThemAll) {
  const std::vector<Leasable> clips = {WithLoras(Clip("styled", absl::Seconds(9)), {"a", "b"})};
  const FleetView fleet{.loras = {{}, {"a"}, {"a", "b", "c"}}, .complete_at = kNow};
  EXPECT_EQ(Choose(clips, {"w1", {}, {}}, fleet), "nothing");
  EXPECT_EQ(Choose(clips, {"w2", {}, {"a"}}, fleet), "nothing");
  EXPECT_EQ(Choose(clips, {"w3", {}, {"a", "b", "c"}}, fleet), "styled");
}

TEST(Schedule, WarmthDoesNotReplaceALora) {
  const std::vector<Leasable> clips = {WithLoras(Clip("styled", absl::Seconds(9)), {"a"})};
  const FleetView fleet{.loras = {{}, {"a"}}, .complete_at = kNow};
  EXPECT_EQ(Choose(clips, {"w1", {"styled"}, {}}, fleet), "nothing");
}

TEST(Schedule, ALoraThatNobodyHasKeepsNobodyWaiting) {
  const std::vector<Leasable> clips = {WithLoras(Clip("styled", absl::Seconds(9)), {"a", "b"})};
  // Both are somewhere, but no worker has both.
  const FleetView fleet{.loras = {{"a"}, {"b"}}, .complete_at = kNow};
  EXPECT_EQ(Choose(clips, {"w1", {}, {"a"}}, fleet), "styled");
  EXPECT_EQ(Choose(clips, {"w3", {}, {}}, fleet), "styled");
}

TEST(Schedule, AWorkerThatMayComeBackWithTheLoraIsWaitedFor) {
  const std::vector<Leasable> clips = {WithLoras(Clip("styled", absl::Seconds(9)), {"a"})};
  FleetView fleet{.loras = {{}}, .complete_at = kNow + absl::Milliseconds(1)};
  EXPECT_EQ(Choose(clips, {"w1", {}, {}}, fleet), "nothing");
  fleet.complete_at = kNow;
  EXPECT_EQ(Choose(clips, {"w1", {}, {}}, fleet), "styled");
}

// However many clips wait for another worker, and however urgent they are: this one goes on with the rest.
TEST(Schedule, AClipThatWaitsForItsWorkerStarvesNoOther) {
  const std::vector<Leasable> clips = {WithLoras(Clip("styled", absl::Hours(9), 100), {"a"}),
                                       WithLoras(Clip("styled2", absl::Hours(9), 100), {"a"}),
                                       Clip("plain", absl::Seconds(1), -100),
                                       Clip("plainer", absl::Seconds(2), -100)};
  const FleetView fleet{.loras = {{}, {"a"}}, .complete_at = kNow};
  EXPECT_EQ(Choose(clips, {"w1", {}, {}}, fleet), "plainer");
  EXPECT_EQ(Choose(clips, {"w1", {"plain"}, {}}, fleet), "plain");
  EXPECT_EQ(Choose(clips, {"w2", {}, {"a"}}, fleet), "styled");
}

}  // namespace
}  // namespace svi::server
