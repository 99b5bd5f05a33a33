#include "server/artifacts/file_version.h"

#include <sys/stat.h>

namespace svi::server {

std::optional<FileVersion> VersionOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileVersion{info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

}  // namespace svi::server
