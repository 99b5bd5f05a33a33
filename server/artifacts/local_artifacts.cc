#include "server/artifacts/local_artifacts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"

namespace svi::server {
namespace {

namespace fs = std::filesystem;

constexpr char kPartial[] = ".partial";
constexpr char kLock[] = ".lock";
constexpr mode_t kFileMode = 0640;
// Making a folder and renaming into it may race with a Delete that removes the empty folder.
constexpr int kCommitTries = 16;

// Says what went wrong, never where.
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

absl::StatusOr<Fd> OpenFd(const fs::path& path, int flags) {
  int fd = -1;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return FileError(errno);
  return Fd(fd);
}

absl::Status SyncFolder(const fs::path& dir) {
  absl::StatusOr<Fd> fd = OpenFd(dir, O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) return fd.status();
  if (fsync(fd->get()) != 0) return FileError(errno);
  return absl::OkStatus();
}

// Makes `dir` below `root` and everything between; each new folder's entry reaches the disk.
absl::Status MakeFolders(const fs::path& root, const fs::path& dir) {
  if (dir == root) return absl::OkStatus();
  struct stat info;
  if (stat(dir.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
  if (absl::Status status = MakeFolders(root, dir.parent_path()); !status.ok()) return status;
  if (mkdir(dir.c_str(), 0750) != 0 && errno != EEXIST) return FileError(errno);
  return SyncFolder(dir.parent_path());
}

class LocalWriter final : public ArtifactWriter {
 public:
  LocalWriter(fs::path root, std::string key, fs::path partial, Fd fd)
      : root_(std::move(root)), key_(std::move(key)), partial_(std::move(partial)), fd_(std::move(fd)) {}

  ~LocalWriter() override {
    if (!committed_) unlink(partial_.c_str());
  }

  absl::Status Append(uint64_t offset, absl::string_view bytes) override {
    if (closed_) return absl::FailedPreconditionError("the artifact takes no more bytes");
    if (offset != size_) {
      return absl::OutOfRangeError(absl::StrCat("offset is ", offset, ", must be ", size_));
    }
    absl::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t written = write(fd_.get(), rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        closed_ = true;  // some of the bytes may be in the file: it is not what size_ says
        return FileError(errno);
      }
      rest.remove_prefix(static_cast<size_t>(written));
    }
    sha_.Update(bytes);
    size_ += bytes.size();
    return absl::OkStatus();
  }

  uint64_t size() const override { return size_; }

  absl::StatusOr<ArtifactRef> Commit() override {
    if (closed_) return absl::FailedPreconditionError("the artifact was committed before, or failed");
    closed_ = true;
    if (fsync(fd_.get()) != 0) return FileError(errno);
    const fs::path target = root_ / key_;
    for (int tries = 1; true; ++tries) {
      absl::Status status = MakeFolders(root_, target.parent_path());
      if (status.ok()) {
        if (rename(partial_.c_str(), target.c_str()) == 0) break;
        status = FileError(errno);
      }
      if (!absl::IsNotFound(status)) return status;
      if (tries == kCommitTries) return absl::UnavailableError("the artifact's folder is being removed");
    }
    committed_ = true;
    fd_ = Fd();
    if (absl::Status status = SyncFolder(target.parent_path()); !status.ok()) return status;
    return ArtifactRef{key_, size_, sha_.Finish()};
  }

 private:
  const fs::path root_;
  const std::string key_;
  const fs::path partial_;
  Fd fd_;
  Sha256 sha_;
  uint64_t size_ = 0;
  bool closed_ = false;
  bool committed_ = false;
};

class LocalArtifacts final : public ArtifactStore {
 public:
  LocalArtifacts(fs::path root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) override {
    if (absl::Status status = CheckArtifactKey(key); !status.ok()) return status;
    fs::path partial = root_ / kPartial / absl::StrCat(next_partial_++);
    absl::StatusOr<Fd> fd = OpenFd(partial, O_WRONLY | O_CREAT | O_EXCL);
    if (absl::IsNotFound(fd.status())) return absl::UnavailableError("the artifact storage is gone");
    if (!fd.ok()) return fd.status();
    return std::make_unique<LocalWriter>(root_, std::string(key), std::move(partial), *std::move(fd));
  }

  absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset, uint64_t length) override {
    absl::StatusOr<Fd> fd = OpenChecked(ref);
    if (!fd.ok()) return fd.status();
    if (offset > ref.size) {
      return absl::OutOfRangeError(
          absl::StrCat("offset is ", offset, ", the artifact has ", ref.size, " bytes"));
    }
    std::string bytes(std::min(length, ref.size - offset), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got =
          pread(fd->get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError(errno);
      if (got == 0) return WrongSize();
      done += static_cast<size_t>(got);
    }
    return bytes;
  }

  absl::Status Delete(const ArtifactRef& ref) override {
    if (absl::Status status = CheckArtifactKey(ref.key); !status.ok()) return status;
    const fs::path path = root_ / ref.key;
    if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return FileError(errno);
    // Folders that are empty now go, too; the first that is not ends it.
    for (fs::path dir = path.parent_path(); dir != root_; dir = dir.parent_path()) {
      if (rmdir(dir.c_str()) != 0) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Path(const ArtifactRef& ref) override {
    absl::StatusOr<Fd> fd = OpenChecked(ref);
    if (!fd.ok()) return fd.status();
    return (root_ / ref.key).string();
  }

 private:
  static absl::Status WrongSize() {
    return absl::DataLossError("an artifact has not the size that it was stored with");
  }

  absl::StatusOr<Fd> OpenChecked(const ArtifactRef& ref) {
    if (absl::Status status = CheckArtifactKey(ref.key); !status.ok()) return status;
    absl::StatusOr<Fd> fd = OpenFd(root_ / ref.key, O_RDONLY);
    if (!fd.ok()) return fd.status();
    struct stat info;
    if (fstat(fd->get(), &info) != 0) return FileError(errno);
    if (!S_ISREG(info.st_mode)) return absl::NotFoundError("the artifact is not in the storage");
    if (static_cast<uint64_t>(info.st_size) != ref.size) return WrongSize();
    return fd;
  }

  const fs::path root_;
  const Fd lock_;
  std::atomic<uint64_t> next_partial_ = 0;
};

absl::Status EmptyPartial(const fs::path& partial) {
  std::error_code error;
  for (fs::directory_iterator it(partial, error), end; !error && it != end; it.increment(error)) {
    std::error_code remove_error;
    fs::remove_all(it->path(), remove_error);
    if (remove_error) return FileError(remove_error.value());
  }
  return error ? FileError(error.value()) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenLocalArtifacts(const std::string& dir) {
  const absl::Status unusable = absl::UnavailableError("the folder for artifacts cannot be made or written");
  std::error_code error;
  fs::path root = fs::absolute(dir, error).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // of "dir/"
  if (!error) fs::create_directories(root / kPartial, error);
  if (error) return unusable;
  absl::StatusOr<Fd> lock = OpenFd(root / kLock, O_RDWR | O_CREAT);
  if (!lock.ok()) return unusable;
  if (flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError(errno);
    return absl::FailedPreconditionError("the folder for artifacts is in use by another process");
  }
  if (absl::Status status = EmptyPartial(root / kPartial); !status.ok()) return status;
  return std::make_unique<LocalArtifacts>(std::move(root), *std::move(lock));
}

}  // namespace svi::server
