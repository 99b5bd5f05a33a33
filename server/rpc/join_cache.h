// Whole videos, joined from their clips, kept for as long as somebody downloads them or may soon again.
#ifndef SVI_SERVER_RPC_JOIN_CACHE_H_
#define SVI_SERVER_RPC_JOIN_CACHE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_store.h"

namespace svi::server {

// An open file that disappears from the disk with its last user.
class JoinedFile {
 public:
  // Takes over the file: opens, measures, hashes and unlinks it. UNAVAILABLE if the disk fails.
  static absl::StatusOr<std::shared_ptr<const JoinedFile>> Adopt(const std::string& path, uint32_t clips);
  ~JoinedFile();
  JoinedFile(const JoinedFile&) = delete;
  JoinedFile& operator=(const JoinedFile&) = delete;

  absl::StatusOr<std::string> ReadAt(uint64_t offset, uint64_t length) const;
  uint64_t size() const { return size_; }
  const std::string& sha256() const { return sha256_; }
  uint32_t clips() const { return clips_; }

 private:
  JoinedFile(int fd, uint32_t clips) : fd_(fd), clips_(clips) {}

  const int fd_;
  const uint32_t clips_;
  uint64_t size_ = 0;
  std::string sha256_;
};

// The files have no name on the disk, so a crash leaves nothing behind but what was being joined, and that is
// removed when the folder is opened. Thread-safe.
class JoinCache {
 public:
  // `dir`: a folder of its own; made, and emptied. `capacity`: joined files that are kept.
  static absl::StatusOr<std::unique_ptr<JoinCache>> Open(const std::string& dir, size_t capacity = 8);

  // These clips as one, from the cache or made now (heavy: they are copied into the folder, verified, and
  // removed when they are joined). `key` stands for the clips. Errors of FetchArtifact.
  absl::StatusOr<std::shared_ptr<const JoinedFile>> Get(const std::string& key, ArtifactStore& artifacts,
                                                        const std::vector<ArtifactRef>& clips);
  // Forgets the keys that start with `prefix`.
  void Forget(const std::string& prefix);

 private:
  JoinCache(std::string dir, size_t capacity) : dir_(std::move(dir)), capacity_(capacity) {}

  [[nodiscard]] absl::Status Join(ArtifactStore& artifacts, const std::vector<ArtifactRef>& clips,
                                  const std::string& path);

  const std::string dir_;
  const size_t capacity_;
  absl::Mutex mu_;
  uint64_t made_ ABSL_GUARDED_BY(mu_) = 0;
  std::list<std::pair<std::string, std::shared_ptr<const JoinedFile>>> recent_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_JOIN_CACHE_H_
