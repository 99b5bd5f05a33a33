// Artifacts read from front to back, with their hash checked on the way.
#ifndef SVI_SERVER_ARTIFACTS_ARTIFACT_READER_H_
#define SVI_SERVER_ARTIFACTS_ARTIFACT_READER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/sha256.h"
#include "server/artifacts/artifact_store.h"

namespace svi::server {

// Gives out the last byte only if the whole artifact has its hash. Not thread-safe.
class ArtifactReader {
 public:
  // The store is borrowed.
  ArtifactReader(ArtifactStore* artifacts, ArtifactRef ref) : artifacts_(artifacts), ref_(std::move(ref)) {}

  // `length` bytes from `offset`, fewer only where the artifact ends. `offset` must not lie before the end of
  // what was read last; what lies between is read, too, for the hash. DATA_LOSS: size or hash are not those
  // of the ref. Others as ArtifactStore::ReadAt.
  [[nodiscard]] absl::StatusOr<std::string> ReadAt(uint64_t offset, uint64_t length);
  // The same from where the last read ended.
  [[nodiscard]] absl::StatusOr<std::string> Next(uint64_t length) { return ReadAt(position_, length); }

  [[nodiscard]] uint64_t position() const { return position_; }
  [[nodiscard]] bool at_end() const { return position_ == ref_.size; }

 private:
  [[nodiscard]] absl::StatusOr<std::string> Read(uint64_t length);

  ArtifactStore* artifacts_;
  ArtifactRef ref_;
  Sha256 sha_;
  uint64_t position_ = 0;
  bool verified_ = false;
};

// Reads all of it. OK: size and SHA-256 are those of `ref`. Errors as ArtifactReader's.
[[nodiscard]] absl::Status VerifyArtifact(ArtifactStore& artifacts, const ArtifactRef& ref);

// Writes it to the file `path`, which is replaced; after an error no file is left there. Errors as
// ArtifactReader's.
[[nodiscard]] absl::Status FetchArtifact(ArtifactStore& artifacts, const ArtifactRef& ref,
                                         const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_ARTIFACT_READER_H_
