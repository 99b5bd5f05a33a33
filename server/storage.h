// Where artifacts are kept and for how long: from options to the store and its sweeper.
#ifndef SVI_SERVER_STORAGE_H_
#define SVI_SERVER_STORAGE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/artifacts/artifact_store.h"
#include "server/metrics/storage_metrics.h"
#include "server/retention/sweeper.h"

namespace svi::server {

// As flags of svi-server, whose names errors tell.
struct StorageOptions {
  // "s3://BUCKET[/PREFIX]"; empty: files below the data folder.
  std::string artifacts;
  // See S3Options.
  std::string s3_endpoint;
  std::string s3_region = "us-east-1";
  std::string s3_credentials;
  std::string s3_ca;
  // Each "TIME", for all tenants that have none of their own, or "TENANT=TIME": how long a video stays after
  // it has ended. Empty: until it is deleted.
  std::vector<std::string> retention;
  bool retention_dry_run = false;
  // "delete", "report" or "keep", see SweeperOptions. Empty: "delete" for files, "report" for S3, where
  // another server with another database may have been given the same prefix by mistake.
  std::string orphans;
  absl::Duration orphan_grace = absl::Hours(24);
  absl::Duration sweep_interval = absl::Hours(1);
};

// INVALID_ARGUMENT names the flag.
[[nodiscard]] absl::StatusOr<SweeperOptions> MakeSweeperOptions(const StorageOptions& options);

// `data_dir`: for the files themselves, or for what waits to be uploaded. `metrics` is borrowed, and must
// outlive the store. Errors as OpenLocalArtifacts and OpenS3Artifacts.
[[nodiscard]] absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenArtifacts(const StorageOptions& options,
                                                                           const std::string& data_dir,
                                                                           StorageMetrics* metrics);

}  // namespace svi::server

#endif  // SVI_SERVER_STORAGE_H_
