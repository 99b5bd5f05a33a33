// The trainer, as `svi-worker --mode=training` uses it.
#ifndef SVI_WORKER_TRAINING_H_
#define SVI_WORKER_TRAINING_H_

#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "worker/agent/training_backend.h"

namespace svi::worker {

struct TrainingBackendOptions {
  // What loads the base model. LoRA folders and VAE tiles have no use here.
  engine::EngineOptions engine;
  // Folder of caches and checkpoints; made if it is not there. Required.
  std::string train_dir;
  // Where relative data sets are looked for; empty: in the process's working directory.
  std::string train_data;
  // Takes the trainer's metrics; must outlive the backend. Null: none.
  prometheus::Registry* registry = nullptr;
};

// Errors are those of Engine::Load, and FAILED_PRECONDITION if the ranks cannot reach each other or the
// folder cannot be written.
[[nodiscard]] absl::StatusOr<std::unique_ptr<TrainingBackend>> MakeTrainingBackend(
    const TrainingBackendOptions& options);

}  // namespace svi::worker

#endif  // SVI_WORKER_TRAINING_H_
