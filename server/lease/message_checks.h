// Checks that the messages of workers and of trainers share, and what is made of their texts and times.
#ifndef SVI_SERVER_LEASE_MESSAGE_CHECKS_H_
#define SVI_SERVER_LEASE_MESSAGE_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

inline constexpr size_t kMaxChunkBytes = size_t{1} << 20;
inline constexpr size_t kMaxLabelBytes = 256;  // version, device, model
inline constexpr size_t kSha256Bytes = 32;
inline constexpr size_t kMaxFailureMessageBytes = 1024;
inline constexpr size_t kMaxFailureReasonBytes = 64;

// 1..64 characters of [a-z0-9-].
[[nodiscard]] bool IsWorkerId(absl::string_view id);
// The id of a video or a run: 1..128 characters of [a-z0-9_-]. Keys of artifacts are made from it, so nothing
// that means something in a path.
[[nodiscard]] bool IsJobId(absl::string_view id);

// INVALID_ARGUMENT, naming the field, unless it is within the limit.
[[nodiscard]] absl::Status CheckLength(absl::string_view field, const std::string& value, size_t limit);
[[nodiscard]] absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low, uint64_t high);
// 0..400 days.
[[nodiscard]] absl::Status CheckDuration(absl::string_view field, const google::protobuf::Duration& value);
// Of a piece of an upload: 1..kMaxChunkBytes bytes.
[[nodiscard]] absl::Status CheckData(absl::string_view field, const std::string& data);
// The first that is not OK.
[[nodiscard]] absl::Status First(std::initializer_list<absl::Status> checks);

// `text` with everything that is not valid UTF-8, and control characters, replaced by '?', cut to at most
// `max_bytes` without splitting a character.
[[nodiscard]] std::string CleanText(absl::string_view text, size_t max_bytes);
// A worker's failure as it may be stored and shown: a known code, a bounded reason in UPPER_SNAKE_CASE,
// bounded text.
[[nodiscard]] v1::Failure CleanFailure(const v1::Failure& failure);

[[nodiscard]] google::protobuf::Timestamp ToProto(absl::Time time);
[[nodiscard]] google::protobuf::Duration ToProto(absl::Duration duration);

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_MESSAGE_CHECKS_H_
