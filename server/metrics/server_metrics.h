// What svi-server tells Prometheus.
#ifndef SVI_SERVER_METRICS_SERVER_METRICS_H_
#define SVI_SERVER_METRICS_SERVER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/metrics/drift_metrics.h"
#include "server/metrics/storage_metrics.h"
#include "server/queue/job_store.h"
#include "server/queue/training_store.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

// One RPC method's counters; see rpc_metrics.h for who feeds them.
struct RpcMethodMetrics {
  prometheus::Counter* started;
  prometheus::Counter* msg_received;
  prometheus::Counter* msg_sent;
  prometheus::Histogram* handling_seconds;
};

// The registry and every metric of the server, by what happened. Thread-safe, except SetSources and Expose,
// which are called before traffic.
class ServerMetrics {
 public:
  ServerMetrics();
  ~ServerMetrics();
  ServerMetrics(const ServerMetrics&) = delete;
  ServerMetrics& operator=(const ServerMetrics&) = delete;

  // A clip was committed: svi_clips_total{outcome="committed"}, svi_clip_stage_seconds{stage} and, after a
  // video's first, svi_clip_drift{measure}.
  void ClipCommitted(const v1::Clip& clip);
  // An attempt at a clip ended without one: svi_clips_total{outcome}, outcome one of "failed" (will be tried
  // again or was the last attempt), "permanent" (another attempt cannot help), "handed_back", "expired",
  // "refused" (the upload was not what it should be), "cancelled".
  void ClipEnded(absl::string_view outcome);
  // svi_lease_expiries_total.
  void LeaseExpired();
  // An attempt at a training run ended: svi_training_attempts_total{outcome}, outcome "committed" or as in
  // ClipEnded.
  void TrainingEnded(absl::string_view outcome);
  // svi_training_lease_expiries_total.
  void TrainingLeaseExpired();
  // svi_bytes_served_total{kind}: kind is "clip", "video", "image", "carry" or "lora".
  void BytesServed(absl::string_view kind, uint64_t bytes);
  // What becomes of artifacts.
  StorageMetrics& storage() { return storage_; }
  // svi_claims_lost_total: a clip was not there any more when it was to be leased.
  void ClaimLost();
  // svi_videos_refused_total{reason}: "quota" (the tenant's limit) or "queue_full" (the server's).
  void VideoRefused(absl::string_view reason);
  // svi_watchers.
  void WatchersChanged(int delta);
  // svi_events_dropped_total.
  void EventsDropped(uint64_t count);

  // Clips of some tenants.
  struct TenantClips {
    int64_t waiting = 0;
    int64_t running = 0;
  };
  // Where gauges come from; asked at each scrape. An empty one leaves its gauges as they are.
  struct Sources {
    std::function<absl::StatusOr<JobStore::Counts>()> jobs;           // svi_videos{state}, svi_queue_depth
    std::function<std::vector<v1::Worker>()> workers;                 // svi_workers{state}
    std::function<absl::StatusOr<TrainingStore::Counts>()> training;  // svi_training_runs{state}, svi_loras
    std::function<std::vector<v1::Worker>()> trainers;                // svi_trainers{state}
    // svi_tenant_clips{tenant,state}, by the label's value, of which there must be few.
    std::function<std::map<std::string, TenantClips>()> tenants;
  };
  // ClearSources must be called before what they refer to goes away.
  void SetSources(Sources sources);
  void ClearSources();

  // Serves GET /metrics on "HOST:PORT"; returns the port (the one bound if PORT was 0).
  [[nodiscard]] absl::StatusOr<int> Expose(const std::string& address);
  // What a scrape would answer, in Prometheus' text format.
  [[nodiscard]] std::string Text() const;

  // For the interceptor. `type` is unary, client_stream, server_stream or bidi_stream.
  RpcMethodMetrics Rpc(const std::string& service, const std::string& method, const std::string& type);
  void RpcHandled(const std::string& service, const std::string& method, const std::string& type,
                  const std::string& code);

 private:
  class Scrape;  // refreshes the gauges, then collects the registry

  std::shared_ptr<prometheus::Registry> registry_;
  DriftMetrics drift_;
  StorageMetrics storage_;
  prometheus::Family<prometheus::Counter>* rpc_started_;
  prometheus::Family<prometheus::Counter>* rpc_handled_;
  prometheus::Family<prometheus::Counter>* rpc_received_;
  prometheus::Family<prometheus::Counter>* rpc_sent_;
  prometheus::Family<prometheus::Histogram>* rpc_seconds_;
  prometheus::Family<prometheus::Histogram>* stage_seconds_;
  prometheus::Family<prometheus::Counter>* clips_;
  prometheus::Family<prometheus::Counter>* training_attempts_;
  prometheus::Family<prometheus::Counter>* bytes_served_;
  prometheus::Family<prometheus::Counter>* videos_refused_;
  prometheus::Counter* claims_lost_;
  prometheus::Counter* lease_expiries_;
  prometheus::Counter* training_lease_expiries_;
  prometheus::Counter* events_dropped_;
  prometheus::Gauge* watchers_;
  std::shared_ptr<Scrape> scrape_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string exposed_host_;
  int exposed_port_ = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_METRICS_SERVER_METRICS_H_
