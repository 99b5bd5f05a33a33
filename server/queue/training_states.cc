#include "server/queue/training_states.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace svi::server {
namespace {

constexpr auto kNew = v1::TRAINING_STATE_UNSPECIFIED;
constexpr auto kQueued = v1::TRAINING_STATE_QUEUED;
constexpr auto kRunning = v1::TRAINING_STATE_RUNNING;
constexpr auto kSucceeded = v1::TRAINING_STATE_SUCCEEDED;
constexpr auto kFailed = v1::TRAINING_STATE_FAILED;
constexpr auto kCancelled = v1::TRAINING_STATE_CANCELLED;

using Step = TrainingStep;

constexpr TrainingTransition kTransitions[] = {
    {kNew, Step::kCreated, kQueued},          {kQueued, Step::kLeased, kRunning},
    {kQueued, Step::kCancelled, kCancelled},  {kRunning, Step::kCommitted, kSucceeded},
    {kRunning, Step::kAttemptEnded, kQueued}, {kRunning, Step::kAttemptFailedForGood, kFailed},
    {kRunning, Step::kCancelled, kCancelled},
};

}  // namespace

absl::Span<const TrainingTransition> TrainingTransitions() { return kTransitions; }

absl::StatusOr<v1::TrainingState> NextState(v1::TrainingState from, TrainingStep step) {
  for (const TrainingTransition& transition : kTransitions) {
    if (transition.from == from && transition.step == step) return transition.to;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("a training run that is ", StateName(from), " cannot be ", StepName(step)));
}

bool IsFinal(v1::TrainingState state) {
  return state == kSucceeded || state == kFailed || state == kCancelled;
}

absl::string_view StateName(v1::TrainingState state) {
  return absl::StripPrefix(v1::TrainingState_Name(state), "TRAINING_STATE_");
}

absl::string_view StepName(TrainingStep step) {
  switch (step) {
    case Step::kCreated:
      return "created";
    case Step::kLeased:
      return "leased";
    case Step::kCommitted:
      return "committed";
    case Step::kAttemptEnded:
      return "put back into the queue";
    case Step::kAttemptFailedForGood:
      return "failed";
    case Step::kCancelled:
      return "cancelled";
  }
  return "changed";
}

}  // namespace svi::server
