// The flags of a worker that serves, in either mode.
#ifndef SVI_WORKER_SERVE_FLAGS_H_
#define SVI_WORKER_SERVE_FLAGS_H_

#include <prometheus/exposer.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/endpoint.h"
#include "client/flags.h"
#include "engine/engine.h"
#include "worker/agent/lease_agent.h"
#include "worker/agent/worker_health.h"
#include "worker/signal_thread.h"

namespace svi::worker {

struct ServeFlags {
  Endpoint endpoint;
  std::string metrics_listen = "127.0.0.1:9465";
  std::string mode = "inference";
  std::string log_level = "info";
  std::string log_format = "text";
  std::string worker_id;
  absl::Duration drain_timeout = absl::Seconds(120);
  std::string health_listen;      // inference
  absl::Duration engine_timeout;  // inference; 0: by the device
  engine::EngineOptions engine;
  std::string lora_cache;             // inference
  uint64_t lora_cache_gb = 50;        // 1e9 bytes
  std::string train_dir, train_data;  // training

  void AddTo(FlagParser& parser);
  // INVALID_ARGUMENT names the flag.
  [[nodiscard]] absl::Status Check() const;
  // For the agent; a worker id is made up if none was given.
  [[nodiscard]] ConnectionOptions Connection() const;
  // What serves /metrics; null if nothing is to. INTERNAL: it cannot listen there.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<prometheus::Exposer>> ServeMetrics(
      const std::shared_ptr<prometheus::Registry>& registry) const;
  // What serves grpc.health.v1; null if nothing is to. UNAVAILABLE: it cannot listen there.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<WorkerHealth>> ServeHealth() const;
};

// svi-worker --mode=training. Returns the exit code.
int ServeTraining(const ServeFlags& flags, SignalThread& signals);

}  // namespace svi::worker

#endif  // SVI_WORKER_SERVE_FLAGS_H_
