// A leased clip's bytes on their way: up from the worker, and its inputs down to it.
#ifndef SVI_SERVER_LEASE_CLIP_UPLOAD_H_
#define SVI_SERVER_LEASE_CLIP_UPLOAD_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/artifacts/artifact_reader.h"
#include "server/artifacts/artifact_store.h"
#include "server/queue/job_store.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// One artifact being received. Nothing of it can be seen in the ArtifactStore before Commit.
class ArtifactUpload {
 public:
  ArtifactUpload(ArtifactStore* artifacts, std::string key, uint64_t max_bytes)
      : artifacts_(artifacts), key_(std::move(key)), max_bytes_(max_bytes) {}

  // `offset` must be the end of what is there; 0 starts over. DATA_LOSS: a gap, or more than max_bytes. Other
  // codes: the store could not write.
  [[nodiscard]] absl::Status Append(uint64_t offset, const std::string& data);
  // Makes it durable. DATA_LOSS if size or hash are not those; then nothing is left in the store.
  [[nodiscard]] absl::StatusOr<ArtifactRef> Commit(uint64_t size, const std::string& sha256);
  [[nodiscard]] uint64_t received() const { return received_; }
  // DATA_LOSS if what was received is not the MP4 of a clip like this: its size, frame rate and number of
  // frames. UNAVAILABLE: it cannot be read. Before Commit.
  [[nodiscard]] absl::Status CheckClip(const v1::Clip& clip) const;

 private:
  ArtifactStore* const artifacts_;
  const std::string key_;
  const uint64_t max_bytes_;
  std::unique_ptr<ArtifactWriter> writer_;
  uint64_t received_ = 0;
};

// What the worker must have before it can begin, piece by piece, so that no file is in memory as a whole.
class InputFeed {
 public:
  explicit InputFeed(ArtifactStore* artifacts) : artifacts_(artifacts) {}

  void Add(v1::InputKind kind, const ArtifactRef& artifact) {
    inputs_.push_back({kind, ArtifactReader(artifacts_, artifact)});
  }
  [[nodiscard]] bool done() const { return inputs_.empty(); }
  // The next chunk, ≤ 1 MiB, without its lease; an artifact's last only if it has its hash. Not to be called
  // when done(). Errors as ArtifactReader's.
  [[nodiscard]] absl::StatusOr<v1::ArtifactChunk> Next();

 private:
  struct Input {
    v1::InputKind kind;
    ArtifactReader reader;
  };
  ArtifactStore* const artifacts_;
  std::deque<Input> inputs_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_CLIP_UPLOAD_H_
