#include "server/rpc/status.h"

#include <google/protobuf/any.pb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/status.pb.h"

namespace svi::server {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com/";
// Trailers are limited to 8 KiB in all by gRPC's default; message and details both go into them,
// percent-encoded and base64-encoded.
constexpr size_t kMaxViolationBytes = 2400;
constexpr size_t kMaxMessageBytes = 1000;

template <typename Detail>
std::string UrlOf() {
  return absl::StrCat(kTypePrefix, Detail::descriptor()->full_name());
}

template <typename Detail>
void SetDetail(absl::Status* status, const Detail& detail) {
  status->SetPayload(UrlOf<Detail>(), absl::Cord(detail.SerializeAsString()));
}

template <typename Detail>
bool GetDetail(const absl::Status& status, Detail* detail) {
  const auto payload = status.GetPayload(UrlOf<Detail>());
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

bool MayLeak(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kUnavailable;
}

std::string Cut(absl::string_view text) {
  if (text.size() <= kMaxMessageBytes) return std::string(text);
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return absl::StrCat(text.substr(0, end), "…");
}

// The same error, fit to be seen by users.
absl::Status ForUsers(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  absl::Status result = status;
  if (!GetErrorInfo(status, &info)) {
    std::string message(status.message());
    if (MayLeak(status.code())) {
      spdlog::error("request failed: {}", status.ToString());
      message = status.code() == absl::StatusCode::kUnavailable ? "the service cannot answer now; try again"
                                                                : "internal error; the server's log has more";
    }
    result = MakeError(status.code(), absl::StatusCodeToString(status.code()), message);
    status.ForEachPayload(
        [&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  }
  google::rpc::RetryInfo retry;
  if ((status.code() == absl::StatusCode::kUnavailable ||
       status.code() == absl::StatusCode::kResourceExhausted) &&
      !GetRetryInfo(status, &retry)) {
    SetRetryDelay(&result, absl::Seconds(1));
  }
  return result;
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message) {
  absl::Status status(code, Cut(message));
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kErrorDomain);
  SetDetail(&status, info);
  return status;
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  if (violations.empty()) return absl::OkStatus();
  google::rpc::BadRequest bad;
  std::string message;
  size_t bytes = 0;
  for (const auto& violation : violations) {
    bytes += violation.field.size() + violation.description.size() + 8;
    if (bytes > kMaxViolationBytes) break;
    auto* field = bad.add_field_violations();
    field->set_field(violation.field);
    field->set_description(violation.description);
    const std::string text = absl::StrCat(violation.field, ": ", violation.description);
    if (message.size() + text.size() < kMaxMessageBytes - 40) {
      absl::StrAppend(&message, message.empty() ? "" : "; ", text);
    }
  }
  const size_t left = violations.size() - bad.field_violations_size();
  if (left > 0) {
    absl::StrAppend(&message, "; and ", left, " more");
    auto* field = bad.add_field_violations();
    field->set_field(violations[violations.size() - left].field);
    field->set_description(absl::StrCat("and ", left, " more bad fields from here on"));
  }
  absl::Status status = MakeError(absl::StatusCode::kInvalidArgument, "INVALID_FIELDS", message);
  SetDetail(&status, bad);
  return status;
}

void SetRetryDelay(absl::Status* status, absl::Duration delay) {
  google::rpc::RetryInfo retry;
  const int64_t nanos = absl::ToInt64Nanoseconds(delay);
  retry.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  SetDetail(status, retry);
}

absl::Status TooBusy(absl::string_view message) {
  absl::Status status = MakeError(absl::StatusCode::kResourceExhausted, "TOO_BUSY", message);
  SetRetryDelay(&status, absl::Seconds(1));
  return status;
}

void SetQuotaFailure(absl::Status* status, absl::string_view subject, absl::string_view description) {
  google::rpc::QuotaFailure quota;
  auto* violation = quota.add_violations();
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(description));
  SetDetail(status, quota);
}

absl::Status WithReason(const absl::Status& status, absl::StatusCode code, absl::string_view reason) {
  google::rpc::ErrorInfo info;
  if (status.code() != code || GetErrorInfo(status, &info)) return status;
  return MakeError(code, reason, status.message());
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status visible = ForUsers(status);
  google::rpc::Status rich;
  rich.set_code(static_cast<int>(visible.code()));
  rich.set_message(std::string(visible.message()));
  std::vector<std::pair<std::string, std::string>> details;
  visible.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (absl::StartsWith(url, kTypePrefix)) details.emplace_back(std::string(url), std::string(payload));
  });
  std::sort(details.begin(), details.end());  // payloads come in no particular order
  for (auto& [url, payload] : details) {
    auto* any = rich.add_details();
    any->set_type_url(url);
    any->set_value(payload);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(visible.code()), std::string(visible.message()),
                      rich.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status rich;
  if (rich.ParseFromString(status.error_details())) {
    for (const auto& any : rich.details()) result.SetPayload(any.type_url(), absl::Cord(any.value()));
  }
  return result;
}

bool GetErrorInfo(const absl::Status& status, google::rpc::ErrorInfo* info) {
  return GetDetail(status, info);
}
bool GetBadRequest(const absl::Status& status, google::rpc::BadRequest* bad) {
  return GetDetail(status, bad);
}
bool GetQuotaFailure(const absl::Status& status, google::rpc::QuotaFailure* quota) {
  return GetDetail(status, quota);
}
bool GetRetryInfo(const absl::Status& status, google::rpc::RetryInfo* retry) {
  return GetDetail(status, retry);
}

}  // namespace svi::server
