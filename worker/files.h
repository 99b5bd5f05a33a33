// Files of the offline commands. Errors name the path: whoever runs the command gave it.
#ifndef SVI_WORKER_FILES_H_
#define SVI_WORKER_FILES_H_

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/types.h"

namespace svi::worker {

// INVALID_ARGUMENT if it cannot be read.
[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(const std::filesystem::path& path);

// INVALID_ARGUMENT if it cannot be read, or is no picture.
[[nodiscard]] absl::StatusOr<engine::Picture> ReadPicture(const std::filesystem::path& path);

// Under its name only once it is whole.
[[nodiscard]] absl::Status WriteWholeFile(const std::filesystem::path& path, const std::string& bytes);

}  // namespace svi::worker

#endif  // SVI_WORKER_FILES_H_
