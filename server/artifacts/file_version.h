// What tells a file that has changed, or was replaced, from the same one: for files that are read again.
#ifndef SVI_SERVER_ARTIFACTS_FILE_VERSION_H_
#define SVI_SERVER_ARTIFACTS_FILE_VERSION_H_

#include <cstdint>
#include <optional>
#include <string>

namespace svi::server {

struct FileVersion {
  uint64_t inode = 0;
  int64_t size = 0;  // bytes
  int64_t modified_s = 0;
  int64_t modified_ns = 0;  // beyond modified_s
  bool operator==(const FileVersion&) const = default;
};

// nullopt: nothing is there, perhaps since it is being replaced.
[[nodiscard]] std::optional<FileVersion> VersionOf(const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_FILE_VERSION_H_
