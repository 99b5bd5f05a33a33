#include "tests/fault/invariants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(10);

bool HasEnded(const v1::Video& video) {
  return video.state() == v1::VIDEO_STATE_SUCCEEDED || video.state() == v1::VIDEO_STATE_FAILED ||
         video.state() == v1::VIDEO_STATE_CANCELLED;
}

// Only this may end a video: one of its clips met with as many faults as it may. No other reason is true
// here, since workers, pictures and stores are sound once they are back.
void CheckFailure(const v1::Video& video, const std::vector<v1::VideoEvent>& events) {
  EXPECT_TRUE(video.error().reason() == "LEASE_EXPIRED" || video.error().reason() == "LEASE_LOST")
      << video.ShortDebugString();
  EXPECT_FALSE(video.error().message().empty());
  if (events.empty()) return;
  const auto failed = std::count_if(events.begin(), events.end(), [&](const v1::VideoEvent& event) {
    return event.has_clip_attempt_failed() &&
           event.clip_attempt_failed().clip_index() == static_cast<uint32_t>(video.clips_size());
  });
  EXPECT_GE(failed, Fleet::kMaxAttempts) << video.name();
}

void CheckEvents(const std::vector<v1::VideoEvent>& events, const v1::Video& video) {
  EXPECT_EQ(events.size(), video.last_sequence()) << video.name();
  int done = 0;
  for (const v1::VideoEvent& event : events) {
    if (!event.has_clip_done()) continue;
    ASSERT_LT(done, video.clips_size()) << video.name();
    EXPECT_EQ(event.clip_done().index(), static_cast<uint32_t>(done)) << video.name();
    EXPECT_EQ(event.clip_done().sha256(), video.clips(done).sha256()) << video.name();
    ++done;
  }
  EXPECT_EQ(done, video.clips_size()) << video.name();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().state_changed().state(), video.state()) << video.name();
}

}  // namespace

std::vector<v1::Video> AwaitAll(Client& client, const std::vector<Asked>& asked) {
  const absl::Time give_up = absl::Now() + kPatience;
  std::vector<v1::Video> ended;
  for (const Asked& one : asked) {
    v1::Video video = client.Get(one.name);
    while (!HasEnded(video) && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(200));
      video = client.Get(one.name);
    }
    EXPECT_TRUE(HasEnded(video)) << "it hangs: " << video.ShortDebugString();
    ended.push_back(video);
  }
  return ended;
}

void CheckNoneLostOrDoubled(Client& client, const std::vector<Asked>& asked) {
  std::multiset<std::string> wanted, there;
  for (const Asked& one : asked) wanted.insert(one.name);
  for (const v1::Video& video : client.ListAll()) there.insert(video.name());
  EXPECT_EQ(there, wanted);
}

void CheckVideo(const Asked& asked, const v1::Video& video, Outcome& outcome) {
  const size_t whole = asked.recipe->sha256.size();
  switch (video.state()) {
    case v1::VIDEO_STATE_SUCCEEDED:
      ++outcome.succeeded;
      EXPECT_EQ(static_cast<size_t>(video.clips_size()), whole) << video.ShortDebugString();
      break;
    case v1::VIDEO_STATE_CANCELLED:
      ++outcome.cancelled;
      EXPECT_TRUE(asked.cancelled) << video.ShortDebugString();
      break;
    case v1::VIDEO_STATE_FAILED:
      ++outcome.failed;
      CheckFailure(video, asked.events);
      break;
    default:
      ADD_FAILURE() << "it has not ended: " << video.ShortDebugString();
  }
  EXPECT_EQ(static_cast<int>(video.clips_done()), video.clips_size()) << video.name();
  for (int i = 0; i < video.clips_size(); ++i) {
    EXPECT_EQ(video.clips(i).index(), static_cast<uint32_t>(i)) << video.name();
    ++outcome.clips;
    outcome.attempts += static_cast<int>(video.clips(i).attempt());
    if (video.clips(i).attempt() > 1) ++outcome.clips_again;
  }
  if (asked.watched) CheckEvents(asked.events, video);
}

void CheckBits(Client& client, const Asked& asked, const v1::Video& video) {
  ASSERT_LE(static_cast<size_t>(video.clips_size()), asked.recipe->sha256.size()) << video.name();
  for (int i = 0; i < video.clips_size(); ++i) {
    EXPECT_EQ(e2e::Sha256(client.Download(video.clips(i))), asked.recipe->sha256[i])
        << video.clips(i).name() << " is not what the undisturbed run made";
  }
}

void CheckArtifacts(Fleet& fleet, Outcome& outcome) {
  const std::vector<std::string> named = fleet.KeysInDatabase();
  const std::vector<std::string> there = fleet.KeysInStore();
  std::vector<std::string> missing, left;
  std::set_difference(named.begin(), named.end(), there.begin(), there.end(), std::back_inserter(missing));
  std::set_difference(there.begin(), there.end(), named.begin(), named.end(), std::back_inserter(left));
  EXPECT_EQ(missing, std::vector<std::string>()) << "the database names them, but they are not there";
  outcome.orphans = static_cast<int>(left.size());
}

}  // namespace svi::fault
