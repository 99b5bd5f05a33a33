#include "server/queue/schedule_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace svi::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

class ScheduleIndexTest : public testing::Test {
 protected:
  static CurrentClip Clip(const std::string& id, absl::Duration waited, const std::string& tenant = "t") {
    CurrentClip clip;
    clip.video_id = id;
    clip.tenant = tenant;
    clip.clips_total = 4;
    clip.ready_since = kNow - waited;
    clip.video_created = kNow - absl::Hours(1);
    return clip;
  }
  static CurrentClip WithLoras(CurrentClip clip, std::vector<std::string> loras) {
    clip.loras = std::move(loras);
    return clip;
  }
  static CurrentClip Leased(CurrentClip clip, absl::Time at = kNow) {
    clip.worker = "workers/w";
    clip.leased_at = at;
    return clip;
  }
  void Put(const CurrentClip& clip, absl::Time now = kNow) { index_.Put(clip, now); }
  std::string Choose(const WorkerView& worker = {}, const std::set<std::string>& loras = {}) {
    const CurrentClip* chosen = index_.Choose(worker, [&](const std::vector<std::string>& wanted) {
      return std::includes(loras.begin(), loras.end(), wanted.begin(), wanted.end());
    });
    return chosen == nullptr ? "nothing" : chosen->video_id;
  }

  std::map<std::string, TenantLimits> limits_;
  ScheduleIndex index_{[this](const std::string& tenant) { return limits_[tenant]; }};
};

TEST_F(ScheduleIndexTest, NothingToDo) { EXPECT_EQ(Choose(), "nothing"); }

TEST_F(ScheduleIndexTest, TheFirstOfTheQueue) {
  Put(Clip("a", absl::Seconds(1)));
  Put(Clip("b", absl::Seconds(3)));
  Put(Clip("c", absl::Seconds(2)));
  EXPECT_EQ(Choose(), "b");
  Put(Leased(Clip("b", absl::Seconds(3))));
  EXPECT_EQ(Choose(), "c");
  index_.Erase("c", kNow);
  EXPECT_EQ(Choose(), "a");
  EXPECT_EQ(index_.waiting(), 1U);
  EXPECT_EQ(index_.running(), 1U);
}

TEST_F(ScheduleIndexTest, AWarmVideoIsPreferredWithinBounds) {
  const absl::Duration over = kWarmBound + absl::Milliseconds(1);
  Put(Clip("warm", absl::ZeroDuration()));
  Put(Clip("cold", kWarmBound));
  EXPECT_EQ(Choose({{"warm"}, {}}), "warm");
  EXPECT_EQ(Choose({{"elsewhere"}, {}}), "cold");
  Put(Clip("colder", over));
  EXPECT_EQ(Choose({{"warm"}, {}}), "colder");
}

TEST_F(ScheduleIndexTest, AWarmVideoOfATenantThatHadMuchDoesNotCount) {
  limits_["low"].weight = 0.01;
  Put(Clip("warm", absl::Seconds(9), "low"));
  Put(Clip("cold", absl::Seconds(1), "t"));
  EXPECT_EQ(Choose({{"warm"}, {}}), "warm");
  CurrentClip next = Clip("warm", absl::ZeroDuration(), "low");
  Put(Leased(next));
  next.clip_index = 1;
  Put(next, kNow + absl::Seconds(60));
  EXPECT_EQ(Choose({{"warm"}, {}}), "cold");
}

TEST_F(ScheduleIndexTest, MergedLorasArePreferredWithinBounds) {
  Put(WithLoras(Clip("ink", absl::ZeroDuration()), {"ink"}));
  Put(Clip("plain", kLoraBound));
  EXPECT_EQ(Choose({{}, {"ink"}}, {"ink"}), "ink");
  EXPECT_EQ(Choose({{}, {"wash"}}, {"ink"}), "plain");
  Put(Clip("plainer", kLoraBound + absl::Seconds(1)));
  EXPECT_EQ(Choose({{}, {"ink"}}, {"ink"}), "plainer");
}

// However many clips wait for another worker, and however long: this one goes on with the rest.
TEST_F(ScheduleIndexTest, WhatAWorkerMayNotTakeStarvesNoOther) {
  Put(WithLoras(Clip("styled", absl::Hours(9)), {"a", "b"}));
  Put(WithLoras(Clip("styled2", absl::Hours(8)), {"a"}));
  Put(WithLoras(Clip("other", absl::Hours(9), "u"), {"a"}));
  Put(Clip("plain", absl::Seconds(1)));
  Put(Clip("plainer", absl::Seconds(2)));
  EXPECT_EQ(index_.waiting_loras().size(), 2U);
  EXPECT_EQ(Choose(), "plainer");
  EXPECT_EQ(Choose({{"styled"}, {}}), "plainer");
  EXPECT_EQ(Choose({{"plain"}, {}}), "plain");
  EXPECT_EQ(Choose({}, {"a"}), "styled2");
  EXPECT_EQ(Choose({}, {"a", "b"}), "styled");
  for (const char* id : {"styled", "styled2", "other"}) index_.Erase(id, kNow);
  EXPECT_TRUE(index_.waiting_loras().empty());
}

TEST_F(ScheduleIndexTest, ATenantAtItsLimitWaits) {
  limits_["t"].max_running_clips = 1;
  Put(Clip("a", absl::Seconds(2)));
  Put(Clip("b", absl::Seconds(1)));
  EXPECT_EQ(Choose(), "a");
  Put(Leased(Clip("a", absl::Seconds(2))));
  EXPECT_EQ(Choose(), "nothing");
  EXPECT_EQ(Choose({{"b"}, {}}), "nothing");
  limits_["t"].max_running_clips = 2;
  index_.LimitsChanged();
  EXPECT_EQ(Choose(), "b");
  limits_["t"].max_running_clips = 1;
  index_.LimitsChanged();
  EXPECT_EQ(Choose(), "nothing");
  index_.Done("a", kNow);
  EXPECT_EQ(Choose(), "b");
}

// Whatever was expected of it when it was leased.
TEST_F(ScheduleIndexTest, AClipCountsForAsLongAsItTook) {
  CurrentClip slow = Clip("slow", absl::Seconds(9), "s");
  CurrentClip fast = Clip("fast", absl::Seconds(9), "f");
  absl::Time now = kNow;
  for (CurrentClip* clip : {&slow, &fast}) Put(*clip, now);
  const auto serve = [&](CurrentClip& clip, absl::Duration seconds) {
    Put(Leased(clip, now), now);
    now += seconds;
    index_.Done(clip.video_id, now);
    ++clip.clip_index;
    Put(clip, now);
  };
  serve(slow, absl::Seconds(1000));
  serve(fast, absl::Seconds(10));
  int rounds = 0;
  for (; Choose() == "fast"; ++rounds) serve(fast, absl::Seconds(10));
  EXPECT_NEAR(rounds, 99, 2);
}

// The same news twice, old news, and news with a gap: another server's clips that were seen late.
TEST_F(ScheduleIndexTest, NewsMayComeTwiceOrWithGaps) {
  Put(Clip("a", absl::Seconds(1), "t"));
  Put(Leased(Clip("a", absl::Seconds(1), "t")));
  for (int i = 0; i < 3; ++i) Put(Leased(Clip("a", absl::Seconds(1), "t")), kNow + absl::Seconds(i));
  EXPECT_EQ(index_.running(), 1U);
  CurrentClip third = Clip("a", absl::ZeroDuration(), "t");
  third.clip_index = 2;
  Put(third, kNow + absl::Seconds(50));
  Put(third, kNow + absl::Seconds(50));
  EXPECT_EQ(index_.running(), 0U);
  EXPECT_EQ(index_.waiting(), 1U);
  // It was waiting here when another server had it made: that counts as service, too.
  third.clip_index = 3;
  Put(third, kNow + absl::Seconds(60));
  Put(Clip("b", absl::ZeroDuration(), "u"), kNow + absl::Seconds(60));
  EXPECT_EQ(Choose(), "b");
  for (int i = 0; i < 2; ++i) index_.Erase("a", kNow);
  index_.Done("a", kNow);
  EXPECT_EQ(index_.waiting(), 1U);
}

TEST_F(ScheduleIndexTest, APageOfTheStoreReplacesWhatIsBetweenItsEnds) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Put(Clip(id, absl::Seconds(1)));
  index_.EraseOthers("a", "d", {"b", "d"}, kNow);
  EXPECT_EQ(index_.waiting(), 4U);  // c is gone
  index_.EraseOthers("d", "", {}, kNow);
  EXPECT_EQ(index_.waiting(), 3U);
  index_.EraseOthers("", "a", {}, kNow);
  EXPECT_EQ(index_.waiting(), 2U);
  EXPECT_TRUE(index_.AnyWaiting({"x", "b"}));
  EXPECT_FALSE(index_.AnyWaiting({"a", "c", "e"}));
}

TEST_F(ScheduleIndexTest, EstimatesAreSilentWhereNothingIsKnown) {
  Put(Clip("a", absl::Seconds(1)));
  EXPECT_FALSE(index_.Estimate("none", 1, kNow).has_value());
  EXPECT_FALSE(index_.Estimate("a", 1, kNow).has_value());  // no clip was measured
  index_.Recall({{"old", "u", kNow - absl::Seconds(30), kNow - absl::Seconds(10)}});
  EXPECT_FALSE(index_.Estimate("a", 0, kNow).has_value());  // no worker
  const auto estimate = index_.Estimate("a", 1, kNow);
  ASSERT_TRUE(estimate.has_value());
  EXPECT_EQ(estimate->start, kNow);
  EXPECT_EQ(estimate->finish, kNow + 4 * absl::Seconds(20));
  CurrentClip open = Clip("b", absl::ZeroDuration());
  open.more_may_come = true;
  Put(open);
  const auto endless = index_.Estimate("b", 1, kNow);
  ASSERT_TRUE(endless.has_value());
  EXPECT_TRUE(endless->start.has_value());
  EXPECT_FALSE(endless->finish.has_value());
  Put(Leased(Clip("a", absl::Seconds(1)), kNow - absl::Seconds(5)));
  const auto running = index_.Estimate("a", 1, kNow);
  ASSERT_TRUE(running.has_value());
  EXPECT_FALSE(running->start.has_value());
  EXPECT_GE(*running->finish, kNow + absl::Seconds(15) + 3 * absl::Seconds(20));
}

}  // namespace
}  // namespace svi::server
