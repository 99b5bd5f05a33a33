#include "server/storage.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/artifacts/local_artifacts.h"
#include "server/artifacts/s3_artifacts.h"

namespace svi::server {

absl::StatusOr<SweeperOptions> MakeSweeperOptions(const StorageOptions& options) {
  using Orphans = SweeperOptions::Orphans;
  SweeperOptions sweeper;
  for (const std::string& text : options.retention) {
    if (absl::Status status = AddRetention(text, &sweeper.retention); !status.ok()) return status;
  }
  sweeper.retention_dry_run = options.retention_dry_run;
  const std::string orphans = !options.orphans.empty()    ? options.orphans
                              : options.artifacts.empty() ? "delete"
                                                          : "report";
  if (orphans != "delete" && orphans != "report" && orphans != "keep") {
    return absl::InvalidArgumentError(
        absl::StrCat("--orphans: must be delete, report or keep; is \"", orphans, "\""));
  }
  sweeper.orphans = orphans == "delete"   ? Orphans::kDelete
                    : orphans == "report" ? Orphans::kReport
                                          : Orphans::kKeep;
  if (options.orphan_grace < absl::Minutes(1)) {
    return absl::InvalidArgumentError("--orphan-grace: must be at least 1m");
  }
  if (options.sweep_interval < absl::Seconds(1)) {
    return absl::InvalidArgumentError("--sweep-interval: must be at least 1s");
  }
  sweeper.orphan_grace = options.orphan_grace;
  sweeper.interval = options.sweep_interval;
  return sweeper;
}

absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenArtifacts(const StorageOptions& options,
                                                             const std::string& data_dir,
                                                             StorageMetrics* metrics) {
  absl::StatusOr<std::unique_ptr<ArtifactStore>> store = nullptr;
  if (options.artifacts.empty()) {
    store = OpenLocalArtifacts(data_dir + "/artifacts");
  } else {
    S3Options s3;
    std::string prefix;
    if (absl::Status status = ParseS3Url(options.artifacts, &s3.bucket, &prefix); !status.ok()) return status;
    s3.endpoint = options.s3_endpoint;
    s3.region = options.s3_region;
    s3.credentials_file = options.s3_credentials;
    s3.ca_file = options.s3_ca;
    s3.observe = [metrics](const char* request, const std::string& outcome, absl::Duration took) {
      metrics->S3Request(request, outcome, took);
    };
    store = OpenS3Artifacts(std::move(s3), prefix, data_dir + "/spool");
  }
  if (!store.ok()) return store;
  (*store)->SetDamageListener([metrics](const ArtifactRef& artifact, const absl::Status& why) {
    spdlog::error("artifact {} is damaged: {}", artifact.key, why.ToString());
    metrics->ArtifactDamaged();
  });
  return store;
}

}  // namespace svi::server
