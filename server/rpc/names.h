// Resource names: videos/{id}, videos/{id}/clips/{index}, trainingRuns/{id}, loras/{id}; and new ids.
#ifndef SVI_SERVER_RPC_NAMES_H_
#define SVI_SERVER_RPC_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

struct ClipName {
  std::string video_id;
  uint32_t index = 0;
};

// 128 random bits as 26 characters of lower-case base32.
std::string NewId();

std::string VideoName(absl::string_view id);                   // videos/{id}
std::string TrainingRunName(absl::string_view id);             // trainingRuns/{id}
std::string ClipNameOf(absl::string_view id, uint32_t index);  // videos/{id}/clips/{index}

// The id in `videos/{id}`: 1..64 characters of [a-z0-9-]. INVALID_ARGUMENT with a violation of field `name`.
absl::StatusOr<std::string> ParseVideoName(absl::string_view name);
// The id in `trainingRuns/{id}`, likewise.
absl::StatusOr<std::string> ParseTrainingRunName(absl::string_view name);
// The id in `loras/{id}`: 1..128 characters of [A-Za-z0-9._-]. Errors as above.
absl::StatusOr<std::string> ParseLoraName(absl::string_view name);
// `videos/{id}/clips/{index}`, index in decimal without leading zeros. Errors as above.
absl::StatusOr<ClipName> ParseClipName(absl::string_view name);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_NAMES_H_
