// Artifacts that nothing refers to any more.
#ifndef SVI_SERVER_RETENTION_GARBAGE_H_
#define SVI_SERVER_RETENTION_GARBAGE_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/artifacts/artifact_store.h"
#include "server/queue/job_store.h"
#include "server/queue/training_store.h"

namespace svi::server {

// What an artifact is, by its key `{owner}/…`.
struct ArtifactName {
  enum class Kind { kImage, kClip, kCarry, kLora };
  Kind kind = Kind::kImage;
  std::string owner;        // id of the video or of the training run
  uint32_t clip_index = 0;  // of kClip and kCarry
};

// As ClipKey, CarryKey, LoraKey and CreateVideo spell them; nullopt: it is none of these.
[[nodiscard]] std::optional<ArtifactName> ParseArtifactKey(absl::string_view key);

// Finds the garbage among the artifacts of one owner. What it does not know it takes for needed: of several
// uploads of one clip it asks the store which one counts, and an unknown name is never garbage. An artifact
// may be referred to soon after it was stored, so those younger than a grace period are none of its business.
class GarbageFinder {
 public:
  // Both borrowed.
  GarbageFinder(JobStore* jobs, TrainingStore* training) : jobs_(jobs), training_(training) {}

  // Of `artifacts`, all of `owner`, those that nothing refers to; and the carries of a video that has ended,
  // since nobody will go on from there. Errors of the stores.
  [[nodiscard]] absl::StatusOr<std::vector<ArtifactInfo>> Find(const std::string& owner,
                                                               const std::vector<ArtifactInfo>& artifacts);

 private:
  [[nodiscard]] absl::StatusOr<bool> IsPublished(const std::string& key);

  JobStore* const jobs_;
  TrainingStore* const training_;
  std::optional<std::set<std::string>> loras_;  // keys of the published ones, when the first was met
};

}  // namespace svi::server

#endif  // SVI_SERVER_RETENTION_GARBAGE_H_
