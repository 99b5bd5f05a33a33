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
#include "absl/time/time.h"
#include "server/artifacts/file_io.h"
#include "server/artifacts/file_writer.h"

namespace svi::server {
namespace {

namespace fs = std::filesystem;

constexpr char kPartial[] = ".partial";
constexpr char kLock[] = ".lock";
// Making a folder and renaming into it may race with a Delete that removes the empty folder.
constexpr int kCommitTries = 16;

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

class LocalWriter final : public FileWriter {
 public:
  LocalWriter(fs::path root, std::string key, fs::path partial, Fd fd)
      : FileWriter(std::move(key), std::move(fd)), root_(std::move(root)), partial_(std::move(partial)) {}

  ~LocalWriter() override {
    if (!committed_) unlink(partial_.c_str());
  }

  absl::StatusOr<ArtifactRef> Commit() override {
    absl::StatusOr<ArtifactRef> ref = Close();
    if (!ref.ok()) return ref;
    if (fsync(fd().get()) != 0) return FileError(errno);
    const fs::path target = root_ / key();
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
    fd() = Fd();
    if (absl::Status status = SyncFolder(target.parent_path()); !status.ok()) return status;
    return ref;
  }

 private:
  const fs::path root_;
  const fs::path partial_;
  bool committed_ = false;
};

class LocalArtifacts final : public ArtifactStore {
 public:
  LocalArtifacts(fs::path root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) override {
    if (absl::Status status = CheckArtifactKey(key); !status.ok()) return status;
    fs::path partial = root_ / kPartial / absl::StrCat(next_partial_++);
    absl::StatusOr<Fd> fd = OpenFd(partial, O_RDWR | O_CREAT | O_EXCL);
    if (absl::IsNotFound(fd.status())) return absl::UnavailableError("the artifact storage is gone");
    if (!fd.ok()) return fd.status();
    return std::make_unique<LocalWriter>(root_, std::string(key), std::move(partial), *std::move(fd));
  }

  absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset, uint64_t length) override {
    absl::StatusOr<Fd> fd = OpenChecked(ref);
    if (!fd.ok()) return fd.status();
    if (offset > ref.size) return BeyondArtifact(offset, ref);
    std::string bytes(std::min(length, ref.size - offset), '\0');
    const absl::StatusOr<size_t> got = ReadFully(*fd, bytes.data(), bytes.size(), offset);
    if (!got.ok()) return got.status();
    if (*got != bytes.size()) return Noting(ref, WrongArtifactSize());
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

  absl::Status Visit(absl::FunctionRef<bool(const ArtifactInfo&)> visit) override {
    return VisitFolder(root_, "", visit).status();
  }

 private:
  absl::StatusOr<Fd> OpenChecked(const ArtifactRef& ref) {
    if (absl::Status status = CheckArtifactKey(ref.key); !status.ok()) return status;
    absl::StatusOr<Fd> fd = OpenFd(root_ / ref.key, O_RDONLY);
    if (!fd.ok()) return fd.status();
    struct stat info;
    if (fstat(fd->get(), &info) != 0) return FileError(errno);
    if (!S_ISREG(info.st_mode)) return absl::NotFoundError("the artifact is not in the storage");
    if (static_cast<uint64_t>(info.st_size) != ref.size) return Noting(ref, WrongArtifactSize());
    return fd;
  }

  // What is in the folder `dir`, whose files' keys start with `prefix`. False: `visit` wants no more.
  static absl::StatusOr<bool> VisitFolder(const fs::path& dir, const std::string& prefix,
                                          absl::FunctionRef<bool(const ArtifactInfo&)> visit) {
    std::error_code error;
    fs::directory_iterator it(dir, error);
    // Deleted meanwhile, with all that was in it.
    if (error == std::errc::no_such_file_or_directory && !prefix.empty()) return true;
    for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      const std::string key = prefix + name;
      struct stat info;
      if (!CheckArtifactKey(key).ok() || lstat(it->path().c_str(), &info) != 0) continue;
      bool more = true;
      if (S_ISDIR(info.st_mode)) {
        const absl::StatusOr<bool> visited = VisitFolder(it->path(), key + "/", visit);
        if (!visited.ok()) return visited;
        more = *visited;
      } else if (S_ISREG(info.st_mode)) {
        more = visit({key, static_cast<uint64_t>(info.st_size), absl::TimeFromTimespec(info.st_mtim)});
      }
      if (!more) return false;
    }
    if (error) return FileError(error.value());
    return true;
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
