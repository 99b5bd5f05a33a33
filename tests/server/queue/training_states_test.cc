#include "server/queue/training_states.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace svi::server {
namespace {

using S = TrainingStep;

constexpr v1::TrainingState kAllStates[] = {v1::TRAINING_STATE_UNSPECIFIED, v1::TRAINING_STATE_QUEUED,
                                            v1::TRAINING_STATE_RUNNING,     v1::TRAINING_STATE_SUCCEEDED,
                                            v1::TRAINING_STATE_FAILED,      v1::TRAINING_STATE_CANCELLED};
constexpr S kAllSteps[] = {
    S::kCreated, S::kLeased, S::kCommitted, S::kAttemptEnded, S::kAttemptFailedForGood, S::kCancelled};

// Every pair of a state and a step: either it is in this list, written down apart from the table, or it is
// illegal.
TEST(TrainingStates, EveryStateAndStep) {
  const auto queued = v1::TRAINING_STATE_QUEUED;
  const auto running = v1::TRAINING_STATE_RUNNING;
  const std::map<std::pair<v1::TrainingState, S>, v1::TrainingState> legal = {
      {{v1::TRAINING_STATE_UNSPECIFIED, S::kCreated}, queued},
      {{queued, S::kLeased}, running},
      {{queued, S::kCancelled}, v1::TRAINING_STATE_CANCELLED},
      {{running, S::kCommitted}, v1::TRAINING_STATE_SUCCEEDED},
      {{running, S::kAttemptEnded}, queued},
      {{running, S::kAttemptFailedForGood}, v1::TRAINING_STATE_FAILED},
      {{running, S::kCancelled}, v1::TRAINING_STATE_CANCELLED},
  };
  for (const v1::TrainingState state : kAllStates) {
    for (const S step : kAllSteps) {
      SCOPED_TRACE(testing::Message() << StateName(state) << " " << StepName(step));
      const auto next = NextState(state, step);
      const auto expected = legal.find({state, step});
      if (expected == legal.end()) {
        EXPECT_EQ(next.status().code(), absl::StatusCode::kFailedPrecondition);
      } else {
        ASSERT_TRUE(next.ok()) << next.status();
        EXPECT_EQ(*next, expected->second);
      }
    }
  }
  EXPECT_EQ(TrainingTransitions().size(), legal.size());
}

TEST(TrainingStates, FinalStatesAreThoseThatNothingLeadsOutOf) {
  std::set<v1::TrainingState> left;
  for (const TrainingTransition& transition : TrainingTransitions()) {
    left.insert(transition.from);
    EXPECT_NE(transition.from, transition.to);
  }
  for (const v1::TrainingState state : kAllStates) EXPECT_EQ(IsFinal(state), !left.contains(state));
}

TEST(TrainingStates, EveryStateAndStepHasItsOwnName) {
  std::set<absl::string_view> names;
  for (const v1::TrainingState state : kAllStates) EXPECT_TRUE(names.insert(StateName(state)).second);
  for (const S step : kAllSteps) EXPECT_TRUE(names.insert(StepName(step)).second);
}

}  // namespace
}  // namespace svi::server
