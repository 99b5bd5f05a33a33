#include "server/metrics/storage_metrics.h"

namespace svi::server {
namespace {

const prometheus::Histogram::BucketBoundaries kRequestBuckets = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                                 1,     2.5,  5,     10,   30,  60};

}  // namespace

StorageMetrics::StorageMetrics(prometheus::Registry& registry) {
  const auto counters = [&registry](const char* name, const char* help) {
    return &prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  };
  const auto counter = [&counters](const char* name, const char* help) {
    return &counters(name, help)->Add({});
  };
  damaged_ =
      counter("svi_artifacts_damaged_total", "Reads that met an artifact which is not what was stored.");
  s3_requests_ = counters("svi_s3_requests_total", "Requests to the S3 store, each try, by outcome.");
  s3_seconds_ = &prometheus::BuildHistogram()
                     .Name("svi_s3_request_seconds")
                     .Help("Time of a try of a request to the S3 store, seconds.")
                     .Register(registry);
  expired_videos_ = counter("svi_expired_videos_total", "Videos deleted since their retention was over.");
  orphans_deleted_ = counter("svi_orphans_total", "Artifacts deleted since nothing referred to them.");
  orphans_left_ = &prometheus::BuildGauge()
                       .Name("svi_orphans")
                       .Help("Artifacts to which nothing refers, found and left by the last complete sweep.")
                       .Register(registry)
                       .Add({});
  swept_bytes_ = counters("svi_swept_bytes_total", "Bytes deleted by sweeps, by why.");
  sweeps_ = counters("svi_sweeps_total", "Sweeps for what is no longer needed, by outcome.");
  sweep_errors_ = counter("svi_sweep_errors_total", "What sweeps could not look at or delete.");
  for (const char* kind : {"expired", "orphan"}) swept_bytes_->Add({{"kind", kind}});
  for (const char* outcome : {"complete", "interrupted"}) sweeps_->Add({{"outcome", outcome}});
}

void StorageMetrics::S3Request(const char* request, const std::string& outcome, absl::Duration took) {
  s3_requests_->Add({{"request", request}, {"outcome", outcome}}).Increment();
  s3_seconds_->Add({{"request", request}}, kRequestBuckets).Observe(absl::ToDoubleSeconds(took));
}

void StorageMetrics::Swept(const SweepCounts& counts) {
  sweeps_->Add({{"outcome", counts.complete ? "complete" : "interrupted"}}).Increment();
  sweep_errors_->Increment(static_cast<double>(counts.errors));
  expired_videos_->Increment(static_cast<double>(counts.expired_videos));
  swept_bytes_->Add({{"kind", "expired"}}).Increment(static_cast<double>(counts.expired_bytes));
  if (!counts.dry_run) {
    orphans_deleted_->Increment(static_cast<double>(counts.orphans));
    swept_bytes_->Add({{"kind", "orphan"}}).Increment(static_cast<double>(counts.orphan_bytes));
  }
  if (counts.complete) orphans_left_->Set(counts.dry_run ? static_cast<double>(counts.orphans) : 0);
}

}  // namespace svi::server
