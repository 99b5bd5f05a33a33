#include "server/lease/message_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/utf8.h"

namespace svi::server {
namespace {

constexpr size_t kMaxJobIdBytes = 128;
constexpr int64_t kMaxSeconds = int64_t{400} * 24 * 3600;

// A Timestamp or a Duration.
template <typename Proto>
Proto FromNanos(int64_t nanos) {
  Proto proto;
  proto.set_seconds(nanos / 1000000000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1000000000));
  return proto;
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  return FromNanos<google::protobuf::Timestamp>(absl::ToUnixNanos(time));
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  return FromNanos<google::protobuf::Duration>(absl::ToInt64Nanoseconds(duration));
}

bool IsWorkerId(absl::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

bool IsJobId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxJobIdBytes && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
  });
}

absl::Status CheckLength(absl::string_view field, const std::string& value, size_t limit) {
  if (value.size() <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": at most ", limit, " bytes"));
}

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, " is not in ", low, "..", high));
}

absl::Status CheckDuration(absl::string_view field, const google::protobuf::Duration& value) {
  if (value.seconds() >= 0 && value.seconds() <= kMaxSeconds && value.nanos() >= 0 &&
      value.nanos() < 1000000000) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(field, ": not a duration of 0..", kMaxSeconds, " seconds"));
}

absl::Status CheckData(absl::string_view field, const std::string& data) {
  if (data.empty()) return absl::InvalidArgumentError(absl::StrCat(field, ": empty"));
  return CheckLength(field, data, kMaxChunkBytes);
}

absl::Status First(std::initializer_list<absl::Status> checks) {
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  return absl::OkStatus();
}

std::string CleanText(absl::string_view text, size_t max_bytes) {
  std::string clean;
  while (!text.empty()) {
    size_t length = Utf8Length(text);
    const bool keep =
        length > 1 || (length == 1 && !absl::ascii_iscntrl(static_cast<unsigned char>(text[0])));
    length = std::max<size_t>(length, 1);
    if (clean.size() + (keep ? length : 1) > max_bytes) break;
    if (keep) {
      clean.append(text.data(), length);
    } else {
      clean.push_back('?');
    }
    text.remove_prefix(length);
  }
  return clean;
}

v1::Failure CleanFailure(const v1::Failure& failure) {
  v1::Failure clean;
  // 1..16 are google.rpc.Code's errors.
  clean.set_code(failure.code() >= 1 && failure.code() <= 16 ? failure.code()
                                                             : static_cast<int>(absl::StatusCode::kUnknown));
  for (const char c : failure.reason().substr(0, kMaxFailureReasonBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    clean.mutable_reason()->push_back(absl::ascii_isalnum(byte) ? absl::ascii_toupper(byte) : '_');
  }
  if (clean.reason().empty()) clean.set_reason("WORKER_FAILED");
  clean.set_message(CleanText(failure.message(), kMaxFailureMessageBytes));
  if (clean.message().empty()) clean.set_message("The worker failed without saying why.");
  return clean;
}

}  // namespace svi::server
