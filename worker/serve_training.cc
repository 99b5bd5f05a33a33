// svi-worker --mode=training.
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <memory>

#include "worker/agent/connection_metrics.h"
#include "worker/agent/training_agent.h"
#include "worker/commands.h"
#include "worker/serve_flags.h"
#include "worker/training.h"

namespace svi::worker {
namespace {

int Failed(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return kFailed;
}

}  // namespace

int ServeTraining(const ServeFlags& flags, SignalThread& signals) {
  const auto registry = std::make_shared<prometheus::Registry>();
  TrainingBackendOptions backend_options;
  backend_options.engine = flags.engine;
  backend_options.train_dir = flags.train_dir;
  backend_options.train_data = flags.train_data;
  backend_options.registry = registry.get();
  absl::StatusOr<std::unique_ptr<TrainingBackend>> backend = MakeTrainingBackend(backend_options);
  if (!backend.ok()) return Failed(backend.status());
  if ((*backend)->rank() > 0) {
    // Rank 0 hears the signal, too, and says when it is over.
    std::atomic<bool> stop = false;
    signals.SetHandler([&stop](bool) { stop = true; });
    (*backend)->Follow([&stop] { return stop.load(); });
    signals.SetHandler([](bool) {});
    return kOk;
  }
  ConnectionMetrics metrics(*registry, {(*backend)->device(), (*backend)->model_label(), Version()},
                            "svi_worker_training_runs_total");
  auto exposer = flags.ServeMetrics(registry);
  if (!exposer.ok()) return Failed(exposer.status());
  spdlog::info("training {} on {}, {} ranks", (*backend)->model_label(), (*backend)->device(),
               (*backend)->ranks());
  TrainingAgent agent(backend->get(), &metrics, flags.Connection());
  signals.SetHandler([&agent](bool again) { again ? agent.HandBack() : agent.Drain(); });
  agent.Run();
  signals.SetHandler([](bool) {});
  if (agent.engine_busy()) {
    // The run is handed back, and goes on from its last checkpoint; nobody waits for the step under way.
    spdlog::shutdown();
    std::_Exit(kOk);
  }
  return kOk;
}

}  // namespace svi::worker
