#include "server/artifacts/file_io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr mode_t kFileMode = 0640;

}  // namespace

absl::Status FileError(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::UnavailableError("the artifact storage is full");
    case ENOENT:
      return absl::NotFoundError("the artifact is not in the storage");
    case EMFILE:
    case ENFILE:
      return absl::UnavailableError("too many artifacts are open");
    default:
      return absl::UnavailableError(absl::StrCat("the artifact storage failed with system error ", error));
  }
}

absl::StatusOr<Fd> OpenFd(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return FileError(errno);
  return Fd(fd);
}

absl::StatusOr<Fd> OpenUnnamed(const std::string& dir) {
  std::string name = dir + "/XXXXXX";
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) {
    const absl::Status status = FileError(errno);
    return absl::IsNotFound(status) ? absl::UnavailableError("the folder for temporary files is gone")
                                    : status;
  }
  unlink(name.c_str());
  return Fd(fd);
}

absl::Status WriteAll(const Fd& fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ReadFully(const Fd& fd, char* buffer, size_t length, uint64_t offset) {
  size_t done = 0;
  while (done < length) {
    const ssize_t got = pread(fd.get(), buffer + done, length - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace svi::server
