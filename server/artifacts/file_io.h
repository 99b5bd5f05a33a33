// Files, for the parts of this folder: descriptors that close themselves, whole reads and writes, errors that
// say what went wrong and never where.
#ifndef SVI_SERVER_ARTIFACTS_FILE_IO_H_
#define SVI_SERVER_ARTIFACTS_FILE_IO_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

// A file descriptor that is closed with it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// What errno `error` means for an artifact: NOT_FOUND for ENOENT, UNAVAILABLE for all others.
[[nodiscard]] absl::Status FileError(int error);

// open(2), with close-on-exec and, for new files, mode 0640. Errors as FileError.
[[nodiscard]] absl::StatusOr<Fd> OpenFd(const std::string& path, int flags);

// A new file in `dir` that has no name any more: it goes with its descriptor, whatever becomes of the
// process. UNAVAILABLE if it cannot be made.
[[nodiscard]] absl::StatusOr<Fd> OpenUnnamed(const std::string& dir);

// Appends all of `bytes`. After an error some of them may be in the file.
[[nodiscard]] absl::Status WriteAll(const Fd& fd, absl::string_view bytes);

// Reads into `buffer` from `offset`, up to `length` bytes; fewer only at the end of the file.
[[nodiscard]] absl::StatusOr<size_t> ReadFully(const Fd& fd, char* buffer, size_t length, uint64_t offset);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_FILE_IO_H_
