// absl::Status ⇄ grpc::Status, with google.rpc.Status details: the only place where one becomes the other.
// Details travel inside an absl::Status as payloads, keyed by their Any type URL.
#ifndef SVI_SERVER_RPC_STATUS_H_
#define SVI_SERVER_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"

namespace svi::server {

inline constexpr char kErrorDomain[] = "svi-serving";

// One bad field: its path ("spec.prompts[2]") and what is wrong, naming the limit.
struct FieldViolation {
  std::string field;
  std::string description;
};

// An error with ErrorInfo{reason, domain}. `message` reaches the user as it is.
absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message);
// INVALID_ARGUMENT with ErrorInfo INVALID_FIELDS and BadRequest: all of them up to what fits into HTTP/2
// trailers, then how many more there are. OK if there are none.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);
// Adds RetryInfo: the caller may try again after `delay`.
void SetRetryDelay(absl::Status* status, absl::Duration delay);
// Adds QuotaFailure with one violation: `subject` ("tenant:acme") has met a limit, as `description` says.
void SetQuotaFailure(absl::Status* status, absl::string_view subject, absl::string_view description);
// RESOURCE_EXHAUSTED with RetryInfo.
absl::Status TooBusy(absl::string_view message);

// A store's error with a reason that programs can tell apart, if it has this code and no reason yet.
absl::Status WithReason(const absl::Status& status, absl::StatusCode code, absl::string_view reason);

// For the wire. Every error gets an ErrorInfo (reason = the code's name if it has none), and RetryInfo if it
// is RESOURCE_EXHAUSTED or UNAVAILABLE. The message of an INTERNAL, UNKNOWN, DATA_LOSS or UNAVAILABLE error
// without an ErrorInfo of its own may hold what is not the caller's business: it is logged, and replaced by a
// general one.
grpc::Status ToGrpcStatus(const absl::Status& status);
// The other way, payloads included.
absl::Status FromGrpcStatus(const grpc::Status& status);

// Details of a status; false if it has none of that type.
bool GetErrorInfo(const absl::Status& status, google::rpc::ErrorInfo* info);
bool GetBadRequest(const absl::Status& status, google::rpc::BadRequest* bad);
bool GetRetryInfo(const absl::Status& status, google::rpc::RetryInfo* retry);
bool GetQuotaFailure(const absl::Status& status, google::rpc::QuotaFailure* quota);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_STATUS_H_
