// What becomes of stored artifacts, for Prometheus.
#ifndef SVI_SERVER_METRICS_STORAGE_METRICS_H_
#define SVI_SERVER_METRICS_STORAGE_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace svi::server {

// What one sweep found and did; in a dry run, what it would have done.
struct SweepCounts {
  uint64_t expired_videos = 0;
  uint64_t expired_bytes = 0;  // of their artifacts
  uint64_t orphans = 0;        // artifacts that nothing refers to any more
  uint64_t orphan_bytes = 0;
  uint64_t foreign = 0;  // files that are none of this server's artifacts, by their names
  uint64_t errors = 0;   // that kept it from looking at something, or from deleting it
  bool dry_run = false;  // of the orphans
  bool complete = false;
};

// Thread-safe.
class StorageMetrics {
 public:
  explicit StorageMetrics(prometheus::Registry& registry);

  // svi_artifacts_damaged_total.
  void ArtifactDamaged() { damaged_->Increment(); }
  // svi_s3_requests_total{request,outcome} and svi_s3_request_seconds{request}; see S3Options::observe.
  void S3Request(const char* request, const std::string& outcome, absl::Duration took);
  // svi_expired_videos_total, svi_orphans_total, svi_swept_bytes_total{kind="expired|orphan"}: what was
  // deleted; svi_orphans: what the last complete sweep found and left;
  // svi_sweeps_total{outcome="complete|interrupted"}, svi_sweep_errors_total.
  void Swept(const SweepCounts& counts);

 private:
  prometheus::Counter* damaged_;
  prometheus::Family<prometheus::Counter>* s3_requests_;
  prometheus::Family<prometheus::Histogram>* s3_seconds_;
  prometheus::Counter* expired_videos_;
  prometheus::Counter* orphans_deleted_;
  prometheus::Gauge* orphans_left_;
  prometheus::Family<prometheus::Counter>* swept_bytes_;
  prometheus::Family<prometheus::Counter>* sweeps_;
  prometheus::Counter* sweep_errors_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_METRICS_STORAGE_METRICS_H_
