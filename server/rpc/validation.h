// Every field and limit that the comments of proto/svi/v1 promise. All violations of a request are reported
// at once.
#ifndef SVI_SERVER_RPC_VALIDATION_H_
#define SVI_SERVER_RPC_VALIDATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "svi/v1/training_service.pb.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {

inline constexpr size_t kMaxImageBytes = size_t{32} << 20;
inline constexpr size_t kMaxPromptBytes = 16384;
inline constexpr uint32_t kMaxClips = 100000;

// INVALID_ARGUMENT with one BadRequest field violation for each thing that is wrong, paths as in
// `spec.prompts[2]`. CreateVideo also decodes the picture (media::CheckPicture), so it may take a second;
// if nothing else is wrong, what keeps that from being done is returned: UNAVAILABLE or INTERNAL.
[[nodiscard]] absl::Status Validate(const v1::CreateVideoRequest& request);
[[nodiscard]] absl::Status Validate(const v1::AppendPromptsRequest& request);
[[nodiscard]] absl::Status Validate(const v1::ListVideosRequest& request);
[[nodiscard]] absl::Status Validate(const v1::CreateTrainingRunRequest& request);
[[nodiscard]] absl::Status Validate(const v1::ListTrainingRunsRequest& request);
[[nodiscard]] absl::Status Validate(const v1::ListLorasRequest& request);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_VALIDATION_H_
