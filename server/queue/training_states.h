// States of a training run, and every legal change between them, in one table.
//
//      kCreated
//         │        kLeased
//         ▼ ────────────────▶         ──kAttemptFailedForGood──▶ FAILED
//      QUEUED                 RUNNING
//           ◀──────────────── │       ──kCommitted──▶ SUCCEEDED
//             kAttemptEnded   │
//      QUEUED, RUNNING ──kCancelled──▶ CANCELLED
#ifndef SVI_SERVER_QUEUE_TRAINING_STATES_H_
#define SVI_SERVER_QUEUE_TRAINING_STATES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "svi/v1/training_service.pb.h"

namespace svi::server {

enum class TrainingStep {
  kCreated,               // CreateRun
  kLeased,                // AcquireRun
  kCommitted,             // CommitRun
  kAttemptEnded,          // FailRun: handed back, or to be tried again
  kAttemptFailedForGood,  // FailRun: permanent, or the last attempt
  kCancelled,             // CancelRun
};

struct TrainingTransition {
  v1::TrainingState from;
  TrainingStep step;
  v1::TrainingState to;
};

// Every legal change; what is not in here is illegal. Each leads to another state.
[[nodiscard]] absl::Span<const TrainingTransition> TrainingTransitions();

// The state that `step` leads to. FAILED_PRECONDITION if it is illegal in `from`.
[[nodiscard]] absl::StatusOr<v1::TrainingState> NextState(v1::TrainingState from, TrainingStep step);

// SUCCEEDED, FAILED and CANCELLED: nothing leads out of them.
[[nodiscard]] bool IsFinal(v1::TrainingState state);

// "QUEUED", for messages.
[[nodiscard]] absl::string_view StateName(v1::TrainingState state);
[[nodiscard]] absl::string_view StepName(TrainingStep step);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TRAINING_STATES_H_
