// Where pictures, clips and carries are kept: immutable byte strings, by key.
#ifndef SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_
#define SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/queue/job_store.h"

namespace svi::server {

// Bytes that are on their way into the store. Nothing is visible under the key before Commit; a writer that
// is destroyed without it leaves nothing behind. Not thread-safe.
class ArtifactWriter {
 public:
  virtual ~ArtifactWriter() = default;

  // Appends `bytes`, which must start at size(). OUT_OF_RANGE if they do not, FAILED_PRECONDITION after
  // Commit, UNAVAILABLE if the disk is full or fails. After an error other than OUT_OF_RANGE the writer is of
  // no more use.
  [[nodiscard]] virtual absl::Status Append(uint64_t offset, absl::string_view bytes) = 0;

  // Bytes so far.
  [[nodiscard]] virtual uint64_t size() const = 0;

  // Makes the artifact durable and visible, in one step; one that was there under the same key is replaced.
  // Returns what it is, with the SHA-256 that was computed on the way. FAILED_PRECONDITION the second time.
  [[nodiscard]] virtual absl::StatusOr<ArtifactRef> Commit() = 0;
};

// Thread-safe. Errors never tell where the files are.
// Keys: 1..512 characters of [a-z0-9._/-]; parts between slashes are 1..255 characters and do not start with
// a dot. INVALID_ARGUMENT for all others.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // Two writers of the same key do not disturb each other; the later Commit wins. The writer must not outlive
  // the store.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) = 0;

  // Writes and commits `bytes` at once.
  [[nodiscard]] absl::StatusOr<ArtifactRef> Put(absl::string_view key, absl::string_view bytes);

  // `length` bytes from `offset`, fewer only where the artifact ends. NOT_FOUND: it is not there. DATA_LOSS:
  // its size is not ref.size. OUT_OF_RANGE: offset > ref.size.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset,
                                                           uint64_t length) = 0;

  // Reads all of it. OK: size and SHA-256 are those of `ref`. DATA_LOSS: they are not. NOT_FOUND: it is not
  // there.
  [[nodiscard]] absl::Status Verify(const ArtifactRef& ref);

  // OK, too, if it is not there.
  [[nodiscard]] virtual absl::Status Delete(const ArtifactRef& ref) = 0;

  // A local file with these bytes, valid until the artifact is deleted. Not for the eyes of clients. Errors
  // as ReadAt.
  [[nodiscard]] virtual absl::StatusOr<std::string> Path(const ArtifactRef& ref) = 0;
};

// OK if `key` follows the rule above.
[[nodiscard]] absl::Status CheckArtifactKey(absl::string_view key);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_
