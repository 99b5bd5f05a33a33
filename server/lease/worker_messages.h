// What a worker may say: checks of its messages, before anything is done with them. Workers are not trusted
// to be right.
#ifndef SVI_SERVER_LEASE_WORKER_MESSAGES_H_
#define SVI_SERVER_LEASE_WORKER_MESSAGES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/lease/message_checks.h"
#include "server/queue/job_store.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// INVALID_ARGUMENT, naming the field, unless every field is within its limits.
[[nodiscard]] absl::Status CheckRegister(const v1::Register& message);
// `field` is what names them in an error: at most 4096, each of the form that LoraRef.name has.
[[nodiscard]] absl::Status CheckLoras(absl::string_view field,
                                      const google::protobuf::RepeatedPtrField<std::string>& names);
[[nodiscard]] absl::Status CheckChunk(const v1::ClipChunk& message);
// What a commit needs: sizes, hashes, frame count and dimensions that a clip can have, times that are not
// negative.
[[nodiscard]] absl::Status CheckDone(const v1::ClipDone& message);
[[nodiscard]] absl::Status CheckProgress(const v1::Progress& progress);

// INVALID_ARGUMENT unless it has the form of a lease: `videos/{id}`, epoch ≥ 1.
[[nodiscard]] absl::StatusOr<Lease> ParseLease(const v1::LeaseId& id);
[[nodiscard]] v1::LeaseId ToLeaseId(const Lease& lease);
// For logs: "<video>/3 e2".
[[nodiscard]] std::string ToString(const Lease& lease);
// The id of its video.
[[nodiscard]] inline const std::string& JobOf(const Lease& lease) { return lease.video_id; }

// Where the artifacts of a leased clip are kept. The epoch is in the name, so that a late upload cannot touch
// the file of a later lease.
[[nodiscard]] std::string ClipKey(const Lease& lease);
[[nodiscard]] std::string CarryKey(const Lease& lease);

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_WORKER_MESSAGES_H_
