// What a trainer may say: as worker_messages.h, for the leases of training runs.
#ifndef SVI_SERVER_LEASE_TRAINER_MESSAGES_H_
#define SVI_SERVER_LEASE_TRAINER_MESSAGES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/lease/message_checks.h"
#include "server/queue/training_store.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// INVALID_ARGUMENT, naming the field, unless every field is within its limits.
[[nodiscard]] absl::Status CheckRegister(const v1::TrainerRegister& message);
[[nodiscard]] absl::Status CheckChunk(const v1::LoraChunk& message);
// What a commit needs: size, hash and rank of a LoRA if the run makes one, and none of it if it does not.
[[nodiscard]] absl::Status CheckDone(const v1::TrainingDone& message, bool makes_lora);
// A loss and the like may be anything, also NaN: it is the trainer's to tell that it diverges.
[[nodiscard]] absl::Status CheckProgress(const v1::TrainingProgress& progress);

// INVALID_ARGUMENT unless it has the form of a lease: `trainingRuns/{id}`, epoch ≥ 1.
[[nodiscard]] absl::StatusOr<TrainingLease> ParseLease(const v1::RunLease& id);
[[nodiscard]] v1::RunLease ToLeaseId(const TrainingLease& lease);
// For logs: "<run> e2".
[[nodiscard]] std::string ToString(const TrainingLease& lease);
// The id of its run.
[[nodiscard]] inline const std::string& JobOf(const TrainingLease& lease) { return lease.run_id; }

// Where the LoRA of a leased run is kept, with the epoch, as ClipKey.
[[nodiscard]] std::string LoraKey(const TrainingLease& lease);

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_TRAINER_MESSAGES_H_
