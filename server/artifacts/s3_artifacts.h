// Artifacts as objects in an S3-compatible store.
#ifndef SVI_SERVER_ARTIFACTS_S3_ARTIFACTS_H_
#define SVI_SERVER_ARTIFACTS_S3_ARTIFACTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/artifacts/artifact_store.h"
#include "server/artifacts/s3_client.h"

namespace svi::server {

// Reads "s3://BUCKET[/PREFIX]". INVALID_ARGUMENT if it is not that; the prefix must follow the rule for keys.
[[nodiscard]] absl::Status ParseS3Url(absl::string_view url, std::string* bucket, std::string* prefix);

// Objects of the bucket under `prefix`/, which many servers may share if they share their job store; keys are
// those of the artifacts. What is being written is kept in a nameless file in `spool_dir` (made if it is not
// there), hashed as it comes, and sent as a whole by Commit, which is what makes the artifact appear in one
// step: a single PUT, of at most 5 GiB, can be tried again, leaves no parts behind that nobody pays attention
// to, and lets the store check length and SHA-256. No artifact is in memory as a whole. Looks whether the
// bucket is there. INVALID_ARGUMENT and FAILED_PRECONDITION as S3Client::Make; UNAVAILABLE: the bucket cannot
// be used, or the folder cannot be made.
[[nodiscard]] absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenS3Artifacts(S3Options options,
                                                                             const std::string& prefix,
                                                                             const std::string& spool_dir);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_S3_ARTIFACTS_H_
