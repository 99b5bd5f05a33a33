// gRPC errors as absl::Status, their google.rpc details as text, and the exit codes of `svi`.
#ifndef SVI_CLIENT_ERRORS_H_
#define SVI_CLIENT_ERRORS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "svi/v1/resources.pb.h"
#include "svi/v1/training_service.pb.h"

namespace svi::client {

// What `svi` exits with.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,        // the video or the run failed, or something failed that is none of the below
  kExitUsage = 2,         // wrong flags, or INVALID_ARGUMENT
  kExitPrecondition = 3,  // NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED, PERMISSION_DENIED
  kExitUnavailable =
      4,               // UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED: the connection is lost for good
  kExitCancelled = 5,  // the video or the run was cancelled
  kExitInterrupted = 130,  // Ctrl-C
};

// The same code and message; google.rpc.Status, if there is one, rides along as a payload.
absl::Status FromGrpc(const grpc::Status& status);

// "INVALID_ARGUMENT: message", then an indented line for each field violation, and the reason.
std::string Describe(const absl::Status& status);

// The same as one JSON object: {"error":{"code":…,"message":…,"details":[…]}}.
std::string DescribeAsJson(const absl::Status& status);

// What RetryInfo asks for; zero if there is none.
absl::Duration RetryDelay(const absl::Status& status);

// Whether the connection, rather than the server's judgement, ended a call: it may be made again.
bool IsRetryable(const absl::Status& status);

ExitCode ExitCodeFor(const absl::Status& status);
// kExitOk unless it failed or was cancelled.
ExitCode ExitCodeFor(const v1::Video& video);
ExitCode ExitCodeFor(const v1::TrainingRun& run);

}  // namespace svi::client

#endif  // SVI_CLIENT_ERRORS_H_
