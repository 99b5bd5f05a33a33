#include "server/rpc/join_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "server/artifacts/artifact_reader.h"
#include "worker/media/join.h"

namespace svi::server {
namespace {

constexpr uint64_t kHashChunk = uint64_t{1} << 20;

// A folder that is there as long as the object.
class FolderOnce {
 public:
  explicit FolderOnce(std::string path) : path_(std::move(path)) {
    std::error_code error;  // then what is put into it fails
    std::filesystem::create_directory(path_, error);
  }
  ~FolderOnce() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  FolderOnce(const FolderOnce&) = delete;
  FolderOnce& operator=(const FolderOnce&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const JoinedFile>> JoinedFile::Adopt(const std::string& path, uint32_t clips) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  unlink(path.c_str());
  if (fd < 0) return absl::UnavailableError("the joined video cannot be opened");
  std::shared_ptr<JoinedFile> file(new JoinedFile(fd, clips));
  Sha256 hash;
  while (true) {
    const auto chunk = file->ReadAt(file->size_, kHashChunk);
    if (!chunk.ok()) return chunk.status();
    if (chunk->empty()) break;
    hash.Update(*chunk);
    file->size_ += chunk->size();
  }
  file->sha256_ = hash.Finish();
  return file;
}

JoinedFile::~JoinedFile() { close(fd_); }

absl::StatusOr<std::string> JoinedFile::ReadAt(uint64_t offset, uint64_t length) const {
  std::string bytes(length, '\0');
  size_t done = 0;
  while (done < length) {
    const ssize_t got = pread(fd_, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::UnavailableError("the joined video cannot be read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

absl::StatusOr<std::unique_ptr<JoinCache>> JoinCache::Open(const std::string& dir, size_t capacity) {
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  std::filesystem::create_directories(dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", dir, ": ", error.message()));
  return std::unique_ptr<JoinCache>(new JoinCache(dir, capacity));
}

absl::Status JoinCache::Join(ArtifactStore& artifacts, const std::vector<ArtifactRef>& clips,
                             const std::string& path) {
  const FolderOnce parts(path + ".clips");
  std::vector<std::string> paths;
  for (const ArtifactRef& clip : clips) {
    paths.push_back(absl::StrCat(parts.path(), "/", paths.size(), ".mp4"));
    if (auto fetched = FetchArtifact(artifacts, clip, paths.back()); !fetched.ok()) return fetched;
  }
  if (const auto joined = media::JoinClips(paths, path); !joined.ok()) {
    return absl::InternalError(absl::StrCat("joining clips: ", joined.ToString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const JoinedFile>> JoinCache::Get(const std::string& key,
                                                                 ArtifactStore& artifacts,
                                                                 const std::vector<ArtifactRef>& clips) {
  std::string path;
  {
    absl::MutexLock lock(&mu_);
    for (auto it = recent_.begin(); it != recent_.end(); ++it) {
      if (it->first != key) continue;
      recent_.splice(recent_.begin(), recent_, it);
      return it->second;
    }
    path = absl::StrCat(dir_, "/", ++made_, ".mp4");
  }
  if (auto joined = Join(artifacts, clips, path); !joined.ok()) return joined;
  auto file = JoinedFile::Adopt(path, static_cast<uint32_t>(clips.size()));
  if (!file.ok()) return file.status();
  absl::MutexLock lock(&mu_);
  recent_.emplace_front(key, *file);
  if (recent_.size() > capacity_) recent_.pop_back();
  return file;
}

void JoinCache::Forget(const std::string& prefix) {
  absl::MutexLock lock(&mu_);
  recent_.remove_if([&](const auto& entry) { return absl::StartsWith(entry.first, prefix); });
}

}  // namespace svi::server
