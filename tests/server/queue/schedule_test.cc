#include "server/queue/schedule.h"

#include <gtest/gtest.h>

#include <string>

namespace svi::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

CurrentClip Clip(const std::string& id, absl::Duration waited, int priority = 0) {
  CurrentClip clip;
  clip.video_id = id;
  clip.clips_total = 1;
  clip.priority = priority;
  clip.ready_since = kNow - waited;
  clip.video_created = kNow - absl::Hours(1);
  return clip;
}

CurrentClip Long(CurrentClip clip) {
  clip.clips_total = kShortClips + 1;
  return clip;
}

bool GoesFirst(const CurrentClip& a, const CurrentClip& b) { return PlaceOf(a) < PlaceOf(b); }

TEST(Schedule, TheLongestWaitingGoesFirst) {
  EXPECT_TRUE(GoesFirst(Clip("b", absl::Seconds(3)), Clip("a", absl::Seconds(2))));
  EXPECT_FALSE(GoesFirst(Clip("a", absl::Seconds(2)), Clip("b", absl::Seconds(3))));
}

TEST(Schedule, APriorityIsWorthSoMuchWaiting) {
  const absl::Duration just_less = 3 * kWaitPerPriority - absl::Milliseconds(1);
  const absl::Duration just_more = 3 * kWaitPerPriority + absl::Milliseconds(1);
  EXPECT_TRUE(GoesFirst(Clip("high", absl::ZeroDuration(), 1), Clip("low", just_less, -2)));
  EXPECT_FALSE(GoesFirst(Clip("high", absl::ZeroDuration(), 1), Clip("low", just_more, -2)));
}

TEST(Schedule, ShortVideosGoBeforeLongAndEndlessOnes) {
  CurrentClip endless = Clip("endless", kShortLead - absl::Seconds(1));
  endless.more_may_come = true;
  EXPECT_FALSE(IsShort(endless));
  EXPECT_FALSE(IsShort(Long(endless)));
  CurrentClip eight = Clip("short", absl::ZeroDuration());
  eight.clips_total = kShortClips;
  EXPECT_TRUE(IsShort(eight));
  EXPECT_TRUE(GoesFirst(eight, endless));
  EXPECT_TRUE(GoesFirst(eight, Long(Clip("long", kShortLead - absl::Seconds(1)))));
  EXPECT_FALSE(GoesFirst(eight, Long(Clip("long", kShortLead + absl::Seconds(1)))));
}

TEST(Schedule, NoneIsPassedOverByOneThatCameMuchLater) {
  const CurrentClip last = Long(Clip("last", kLongestWait + absl::Seconds(1), -100));
  EXPECT_TRUE(GoesFirst(last, Clip("first", absl::ZeroDuration(), 100)));
}

TEST(Schedule, TiesGoToTheOlderVideoThenToTheSmallerId) {
  CurrentClip a = Clip("a", absl::Seconds(1));
  CurrentClip b = Clip("b", absl::Seconds(1));
  EXPECT_TRUE(GoesFirst(a, b));
  b.video_created -= absl::Seconds(1);
  EXPECT_TRUE(GoesFirst(b, a));
}

}  // namespace
}  // namespace svi::server
