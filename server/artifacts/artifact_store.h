// Where pictures, clips, carries and LoRAs are kept: immutable byte strings, by key.
#ifndef SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_
#define SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
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

  // `length` of them from `offset`, fewer only where they end. UNAVAILABLE: the disk fails.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadBack(uint64_t offset, uint64_t length) const = 0;

  // Makes the artifact durable and visible, in one step; one that was there under the same key is replaced.
  // Returns what it is, with the SHA-256 that was computed on the way. FAILED_PRECONDITION the second time.
  // UNAVAILABLE: the storage is full, fails or cannot be reached; then the artifact may be there all the
  // same.
  [[nodiscard]] virtual absl::StatusOr<ArtifactRef> Commit() = 0;
};

// What Visit tells of an artifact.
struct ArtifactInfo {
  std::string key;
  uint64_t size = 0;    // bytes
  absl::Time modified;  // when it was committed
};

// Thread-safe. Errors never tell where the artifacts are. UNAVAILABLE everywhere: the storage fails, or
// cannot be reached. Keys: 1..512 characters of [a-z0-9._/-]; parts between slashes are 1..255 characters and
// do not start with a dot. INVALID_ARGUMENT for all others.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // Two writers of the same key do not disturb each other; the later Commit wins. The writer must not outlive
  // the store.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) = 0;

  // Writes and commits `bytes` at once.
  [[nodiscard]] absl::StatusOr<ArtifactRef> Put(absl::string_view key, absl::string_view bytes);

  // `length` bytes from `offset`, fewer only where the artifact ends; they are not checked against the hash
  // (see ArtifactReader). NOT_FOUND: it is not there. DATA_LOSS: its size is not ref.size. OUT_OF_RANGE:
  // offset > ref.size.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset,
                                                           uint64_t length) = 0;

  // OK, too, if it is not there.
  [[nodiscard]] virtual absl::Status Delete(const ArtifactRef& ref) = 0;

  // Calls `visit` for every artifact, until it returns false. Those with the same first part of their keys
  // come one after the other; there is no other order. What is committed or deleted meanwhile may or may not
  // be seen. `visit` may delete. Files that no artifact can be, by their name, are passed over.
  [[nodiscard]] virtual absl::Status Visit(absl::FunctionRef<bool(const ArtifactInfo&)> visit) = 0;

  // Called from then on, by any thread, when an artifact turns out not to be what was stored. To be set
  // before the store is used by more than one thread.
  void SetDamageListener(std::function<void(const ArtifactRef&, const absl::Status&)> listener) {
    damage_listener_ = std::move(listener);
  }
  // `why`, after telling the listener if it is DATA_LOSS. For implementations, and readers of artifacts.
  [[nodiscard]] absl::Status Noting(const ArtifactRef& ref, absl::Status why) const;

 private:
  std::function<void(const ArtifactRef&, const absl::Status&)> damage_listener_;
};

// OK if `key` follows the rule above.
[[nodiscard]] absl::Status CheckArtifactKey(absl::string_view key);

// DATA_LOSS, as ReadAt has it.
[[nodiscard]] absl::Status WrongArtifactSize();
// OUT_OF_RANGE, as ReadAt has it.
[[nodiscard]] absl::Status BeyondArtifact(uint64_t offset, const ArtifactRef& ref);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_ARTIFACT_STORE_H_
