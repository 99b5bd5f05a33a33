#include "client/file_download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace svi::client {
namespace {

namespace fs = std::filesystem;

absl::Status FileError(const char* what, const std::string& path) {
  return absl::InternalError(absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

// Feeds the rest of the file to the digest; returns the number of bytes, or -1.
int64_t HashFile(int fd, Sha256& digest) {
  std::vector<char> buffer(1 << 20);
  int64_t total = 0;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) return total;
    digest.Update(absl::string_view(buffer.data(), static_cast<size_t>(n)));
    total += n;
  }
}

}  // namespace

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

bool FileMatches(const std::string& path, uint64_t size, const std::string& sha256) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat info {};
  bool matches =
      ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) == size;
  if (matches) {
    Sha256 digest;
    matches = HashFile(fd, digest) >= 0 && digest.Finish() == sha256;
  }
  ::close(fd);
  return matches;
}

FileDownload::FileDownload(std::string path, std::string part, std::string expected)
    : path_(std::move(path)), part_path_(std::move(part)), expected_sha256_(std::move(expected)) {}

absl::StatusOr<std::unique_ptr<FileDownload>> FileDownload::Open(const std::string& path,
                                                                 const std::string& expected_sha256) {
  const fs::path target(path);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("cannot make the folder ", folder.string(), ": ", error.message()));
  }
  const std::string tag =
      expected_sha256.empty() ? absl::StrCat(::getpid()) : Hex(expected_sha256).substr(0, 16);
  const std::string part =
      (folder / absl::StrCat(".", target.filename().string(), ".", tag, ".part")).string();
  std::unique_ptr<FileDownload> file(new FileDownload(path, part, expected_sha256));
  file->fd_ = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file->fd_ < 0) return FileError("write", part);
  absl::Status status = expected_sha256.empty() ? file->Restart() : file->HashExisting();
  if (!status.ok()) return status;
  return file;
}

FileDownload::~FileDownload() {
  if (fd_ >= 0) ::close(fd_);
  if (!committed_ && (expected_sha256_.empty() || size_ == 0)) ::unlink(part_path_.c_str());
}

absl::Status FileDownload::HashExisting() {
  const int64_t there = HashFile(fd_, digest_);
  if (there < 0) return FileError("read", part_path_);
  size_ = static_cast<uint64_t>(there);
  return absl::OkStatus();
}

absl::Status FileDownload::Append(std::string_view data) {
  digest_.Update(absl::string_view(data.data(), data.size()));
  size_ += data.size();
  while (!data.empty()) {
    const ssize_t n = ::write(fd_, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", part_path_);
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status FileDownload::Restart() {
  if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) return FileError("write", part_path_);
  digest_ = Sha256();
  size_ = 0;
  return absl::OkStatus();
}

absl::Status FileDownload::Commit(const std::string& sha256) {
  const std::string actual = std::exchange(digest_, Sha256()).Finish();
  const std::string& wanted = expected_sha256_.empty() ? sha256 : expected_sha256_;
  if (actual != wanted || actual != sha256) {
    return absl::DataLossError(
        absl::StrCat(path_, " arrived damaged: its SHA-256 is ", Hex(actual), ", not ", Hex(wanted)));
  }
  if (::fsync(fd_) != 0) return FileError("flush", part_path_);
  if (::rename(part_path_.c_str(), path_.c_str()) != 0) return FileError("name", path_);
  committed_ = true;
  sha256_hex_ = Hex(actual);
  return absl::OkStatus();
}

}  // namespace svi::client
