#include "server/queue/states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace svi::server {
namespace {

using S = VideoStep;

constexpr v1::VideoState kAllStates[] = {
    v1::VIDEO_STATE_UNSPECIFIED, v1::VIDEO_STATE_QUEUED, v1::VIDEO_STATE_RUNNING,  v1::VIDEO_STATE_WAITING,
    v1::VIDEO_STATE_SUCCEEDED,   v1::VIDEO_STATE_FAILED, v1::VIDEO_STATE_CANCELLED};
constexpr S kAllSteps[] = {
    S::kCreated,      S::kClipLeased,           S::kClipCommitted,   S::kPromptsUsedUp, S::kLastClipCommitted,
    S::kAttemptEnded, S::kAttemptFailedForGood, S::kPromptsAppended, S::kFinished,      S::kCancelled};

// Every pair of a state and a step: either it is in this list, written down apart from the table, or it is
// illegal.
TEST(States, EveryStateAndStep) {
  const auto queued = v1::VIDEO_STATE_QUEUED;
  const auto running = v1::VIDEO_STATE_RUNNING;
  const auto waiting = v1::VIDEO_STATE_WAITING;
  const auto cancelled = v1::VIDEO_STATE_CANCELLED;
  const std::map<std::pair<v1::VideoState, S>, v1::VideoState> legal = {
      {{v1::VIDEO_STATE_UNSPECIFIED, S::kCreated}, queued},
      {{queued, S::kClipLeased}, running},
      {{queued, S::kPromptsAppended}, queued},
      {{queued, S::kFinished}, queued},
      {{queued, S::kCancelled}, cancelled},
      {{running, S::kClipCommitted}, queued},
      {{running, S::kPromptsUsedUp}, waiting},
      {{running, S::kLastClipCommitted}, v1::VIDEO_STATE_SUCCEEDED},
      {{running, S::kAttemptEnded}, queued},
      {{running, S::kAttemptFailedForGood}, v1::VIDEO_STATE_FAILED},
      {{running, S::kPromptsAppended}, running},
      {{running, S::kFinished}, running},
      {{running, S::kCancelled}, cancelled},
      {{waiting, S::kPromptsAppended}, queued},
      {{waiting, S::kFinished}, v1::VIDEO_STATE_SUCCEEDED},
      {{waiting, S::kCancelled}, cancelled},
  };
  for (const v1::VideoState state : kAllStates) {
    for (const S step : kAllSteps) {
      SCOPED_TRACE(testing::Message() << StateName(state) << " " << StepName(step));
      const absl::StatusOr<v1::VideoState> next = NextState(state, step);
      const auto expected = legal.find({state, step});
      if (expected == legal.end()) {
        EXPECT_EQ(next.status().code(), absl::StatusCode::kFailedPrecondition);
        continue;
      }
      ASSERT_TRUE(next.ok()) << next.status();
      EXPECT_EQ(*next, expected->second);
    }
  }
  EXPECT_EQ(Transitions().size(), legal.size());
}

TEST(States, NoPairIsInTheTableTwice) {
  std::set<std::pair<v1::VideoState, S>> seen;
  for (const Transition& transition : Transitions()) {
    EXPECT_TRUE(seen.insert({transition.from, transition.step}).second) << StateName(transition.from);
  }
}

TEST(States, NothingLeadsOutOfAFinalState) {
  for (const Transition& transition : Transitions()) EXPECT_FALSE(IsFinal(transition.from));
  for (const v1::VideoState state : kAllStates) {
    EXPECT_EQ(IsFinal(state), state == v1::VIDEO_STATE_SUCCEEDED || state == v1::VIDEO_STATE_FAILED ||
                                  state == v1::VIDEO_STATE_CANCELLED);
  }
}

// The state of the current clip follows from that of the video, so that the two cannot disagree.
TEST(States, TheClipAgreesWithTheVideo) {
  const std::map<v1::VideoState, ClipState> clip_of = {{v1::VIDEO_STATE_UNSPECIFIED, ClipState::kNone},
                                                       {v1::VIDEO_STATE_QUEUED, ClipState::kReady},
                                                       {v1::VIDEO_STATE_RUNNING, ClipState::kLeased},
                                                       {v1::VIDEO_STATE_WAITING, ClipState::kNone}};
  for (const Transition& transition : Transitions()) {
    SCOPED_TRACE(testing::Message() << StateName(transition.from) << " " << StepName(transition.step));
    EXPECT_EQ(transition.clip_from, clip_of.at(transition.from));
    // A clip that is done makes way for the next; the others end where the new state wants them.
    if (transition.clip_to == ClipState::kDone || IsFinal(transition.to)) continue;
    EXPECT_EQ(transition.clip_to, clip_of.at(transition.to));
  }
}

TEST(States, EveryStateAndStepHasItsOwnName) {
  std::set<absl::string_view> names;
  for (const v1::VideoState state : kAllStates) EXPECT_TRUE(names.insert(StateName(state)).second);
  for (const S step : kAllSteps) EXPECT_TRUE(names.insert(StepName(step)).second);
}

}  // namespace
}  // namespace svi::server
