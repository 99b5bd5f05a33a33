#include "worker/agent/upload_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"

namespace svi::worker {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

absl::Status Unreadable(const std::string& why) {
  return absl::InternalError(absl::StrCat("the file to send cannot be read: ", why));
}

}  // namespace

absl::StatusOr<std::unique_ptr<UploadFile>> UploadFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Unreadable(std::strerror(errno));
  std::unique_ptr<UploadFile> file(new UploadFile(fd));
  struct stat info {};
  if (::fstat(fd, &info) != 0) return Unreadable(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return Unreadable("it is not a regular file");
  file->size_ = static_cast<uint64_t>(info.st_size);
  Sha256 digest;
  for (uint64_t at = 0; at < file->size_;) {
    absl::StatusOr<std::string> bytes = file->Read(at, kReadBytes);
    if (!bytes.ok()) return bytes.status();
    digest.Update(*bytes);
    at += bytes->size();
  }
  file->sha256_ = digest.Finish();
  return file;
}

UploadFile::~UploadFile() { ::close(fd_); }

absl::StatusOr<std::string> UploadFile::Read(uint64_t offset, size_t limit) const {
  std::string bytes(std::min<uint64_t>(limit, size_ - std::min(offset, size_)), '\0');
  for (size_t got = 0; got < bytes.size();) {
    const ssize_t n = ::pread(fd_, bytes.data() + got, bytes.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Unreadable(std::strerror(errno));
    if (n == 0) return Unreadable("it has shrunk");
    got += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace svi::worker
