// The engine's errors in the words of the API.
#ifndef SVI_WORKER_AGENT_FAILURE_H_
#define SVI_WORKER_AGENT_FAILURE_H_

#include "absl/status/status.h"
#include "engine/types.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::worker {

// What the server is told of a clip that failed with `status` (not OK, not CANCELLED). Request faults
// (INVALID_ARGUMENT, NOT_FOUND) are permanent; all else may be tried again. Internal messages stay in the
// worker's log: the server gets a sentence without them.
[[nodiscard]] v1::ClipFailed ToClipFailed(const v1::LeaseId& lease, const absl::Status& status);

// The same of a training run. A data set that is not there is the reason DATASET_NOT_FOUND.
[[nodiscard]] v1::TrainingFailed ToTrainingFailed(const v1::RunLease& lease, const absl::Status& status);

// The lease goes back unfinished, since this worker stops.
[[nodiscard]] v1::ClipFailed HandedBack(const v1::LeaseId& lease);
[[nodiscard]] v1::TrainingFailed HandedBack(const v1::RunLease& lease);

// The lease goes back because the engine hangs: another attempt, on another worker, may do better.
[[nodiscard]] v1::ClipFailed EngineStuck(const v1::LeaseId& lease);

// `reason` in UPPER_SNAKE_CASE instead of the one that the code implies; kept by both.
[[nodiscard]] absl::Status WithReason(absl::Status status, const char* reason);

// `status`, with which the engine refused `request`, with the reason LORA_INVALID if it is INVALID_ARGUMENT
// and `folder` holds a LoRA of the request's that is refused.
[[nodiscard]] absl::Status WithLoraReason(absl::Status status, const engine::ClipRequest& request,
                                          const engine::LoraFolder& folder);

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_FAILURE_H_
