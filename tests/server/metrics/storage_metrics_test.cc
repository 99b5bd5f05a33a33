#include "server/metrics/storage_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/metrics/server_metrics.h"

namespace svi::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(StorageMetrics, CountsWhatSweepsDid) {
  ServerMetrics metrics;
  SweepCounts counts;
  counts.expired_videos = 2;
  counts.expired_bytes = 100;
  counts.orphans = 3;
  counts.orphan_bytes = 30;
  counts.errors = 1;
  counts.complete = true;
  metrics.storage().Swept(counts);
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("svi_expired_videos_total 2"), HasSubstr("svi_orphans_total 3"),
            HasSubstr("svi_orphans 0"), HasSubstr("svi_swept_bytes_total{kind=\"expired\"} 100"),
            HasSubstr("svi_swept_bytes_total{kind=\"orphan\"} 30"), HasSubstr("svi_sweep_errors_total 1"),
            HasSubstr("svi_sweeps_total{outcome=\"complete\"} 1")));
}

TEST(StorageMetrics, ADryRunShowsWhatItFoundAndCountsNothingDeleted) {
  ServerMetrics metrics;
  SweepCounts counts;
  counts.orphans = 3;
  counts.dry_run = true;
  counts.complete = true;
  metrics.storage().Swept(counts);
  EXPECT_THAT(metrics.Text(), AllOf(HasSubstr("svi_orphans_total 0"), HasSubstr("svi_orphans 3")));
  counts.orphans = 1;
  counts.complete = false;  // it did not see all
  metrics.storage().Swept(counts);
  EXPECT_THAT(metrics.Text(),
              AllOf(HasSubstr("svi_orphans 3"), HasSubstr("svi_sweeps_total{outcome=\"interrupted\"} 1")));
}

TEST(StorageMetrics, CountsRequestsAndDamage) {
  ServerMetrics metrics;
  metrics.storage().S3Request("get", "200", absl::Milliseconds(20));
  metrics.storage().S3Request("get", "timeout", absl::Seconds(20));
  metrics.storage().ArtifactDamaged();
  EXPECT_THAT(metrics.Text(), AllOf(HasSubstr("svi_s3_requests_total{outcome=\"timeout\",request=\"get\"} 1"),
                                    HasSubstr("svi_s3_request_seconds_count{request=\"get\"} 2"),
                                    HasSubstr("svi_artifacts_damaged_total 1")));
}

}  // namespace
}  // namespace svi::server
