// Artifacts as files below one folder.
#ifndef SVI_SERVER_ARTIFACTS_LOCAL_ARTIFACTS_H_
#define SVI_SERVER_ARTIFACTS_LOCAL_ARTIFACTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/artifacts/artifact_store.h"

namespace svi::server {

// Opens `dir`, which is made if it is not there. Layout: the key is the path below `dir`; `.partial/` holds
// what is being written, and is emptied here, since whoever wrote it is gone; `.lock` is held while the store
// is open. FAILED_PRECONDITION: another process has it open. UNAVAILABLE: the folder cannot be made or
// written.
[[nodiscard]] absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenLocalArtifacts(const std::string& dir);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_LOCAL_ARTIFACTS_H_
