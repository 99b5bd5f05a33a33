#include "client/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "nlohmann/json.hpp"

namespace svi::client {
namespace {

constexpr char kStatusUrl[] = "type.googleapis.com/google.rpc.Status";

google::rpc::Status Details(const absl::Status& status) {
  google::rpc::Status details;
  if (const auto payload = status.GetPayload(kStatusUrl)) {
    // A payload that does not parse was not ours: then there are no details.
    if (!details.ParseFromString(std::string(*payload))) details.Clear();
  }
  return details;
}

// Calls `visit` with each detail of type T.
template <typename T, typename Visit>
void ForEach(const google::rpc::Status& details, Visit visit) {
  for (const google::protobuf::Any& any : details.details()) {
    T detail;
    if (any.Is<T>() && any.UnpackTo(&detail)) visit(detail);
  }
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) out.SetPayload(kStatusUrl, absl::Cord(status.error_details()));
  return out;
}

std::string Describe(const absl::Status& status) {
  std::string out = absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
  const google::rpc::Status details = Details(status);
  ForEach<google::rpc::BadRequest>(details, [&out, &status](const google::rpc::BadRequest& bad) {
    for (const auto& violation : bad.field_violations()) {
      const std::string text = absl::StrCat(violation.field(), ": ", violation.description());
      // The message of a single violation is the violation.
      if (text != status.message()) absl::StrAppend(&out, "\n  ", text);
    }
  });
  ForEach<google::rpc::ErrorInfo>(details, [&out](const google::rpc::ErrorInfo& info) {
    absl::StrAppend(&out, "\n  reason: ", info.reason());
  });
  return out;
}

std::string DescribeAsJson(const absl::Status& status) {
  nlohmann::json error = {{"code", absl::StatusCodeToString(status.code())},
                          {"message", std::string(status.message())}};
  const google::rpc::Status details = Details(status);
  ForEach<google::rpc::BadRequest>(details, [&error](const google::rpc::BadRequest& bad) {
    for (const auto& violation : bad.field_violations()) {
      error["fieldViolations"].push_back(
          {{"field", violation.field()}, {"description", violation.description()}});
    }
  });
  ForEach<google::rpc::ErrorInfo>(
      details, [&error](const google::rpc::ErrorInfo& info) { error["reason"] = info.reason(); });
  // A message that is not UTF-8 must not end the program.
  return nlohmann::json{{"error", error}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Duration RetryDelay(const absl::Status& status) {
  absl::Duration delay = absl::ZeroDuration();
  ForEach<google::rpc::RetryInfo>(Details(status), [&delay](const google::rpc::RetryInfo& info) {
    delay = absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos());
  });
  return delay;
}

bool IsRetryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    case absl::StatusCode::kResourceExhausted:
      return RetryDelay(status) > absl::ZeroDuration();
    // A server that stops cancels its streams; a proxy that goes away resets them. Neither carries details of
    // ours.
    case absl::StatusCode::kCancelled:
      return !status.GetPayload(kStatusUrl).has_value();
    case absl::StatusCode::kUnknown:
      return status.message() == "Stream removed";
    default:
      return false;
  }
}

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kExitPrecondition;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return kExitUnavailable;
    default:
      return kExitFailed;
  }
}

ExitCode ExitCodeFor(const v1::Video& video) {
  switch (video.state()) {
    case v1::VIDEO_STATE_FAILED:
      return kExitFailed;
    case v1::VIDEO_STATE_CANCELLED:
      return kExitCancelled;
    default:
      return kExitOk;
  }
}

ExitCode ExitCodeFor(const v1::TrainingRun& run) {
  switch (run.state()) {
    case v1::TRAINING_STATE_FAILED:
      return kExitFailed;
    case v1::TRAINING_STATE_CANCELLED:
      return kExitCancelled;
    default:
      return kExitOk;
  }
}

}  // namespace svi::client
