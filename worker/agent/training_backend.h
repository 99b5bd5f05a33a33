// What the agent of a worker in training mode knows of the trainer: runs one run to its end.
// worker/training.h makes the real one.
#ifndef SVI_WORKER_AGENT_TRAINING_BACKEND_H_
#define SVI_WORKER_AGENT_TRAINING_BACKEND_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "svi/v1/training_service.pb.h"
#include "svi/v1/training_spec.pb.h"

namespace svi::worker {

// Called on the thread that Train runs on; neither blocks.
struct TrainHooks {
  // Asked at least once a step: true means stop with a checkpoint. Stays true.
  std::function<bool()> stop = [] { return false; };
  std::function<void(const v1::TrainingProgress&)> progress = [](const v1::TrainingProgress&) {};
};

struct TrainedRun {
  std::string
      lora_path;      // the safetensors file; empty: objective FULL, whose weights stay in the work folder
  uint32_t rank = 0;  // of the LoRA
};

class TrainingBackend {
 public:
  // On rank 0: ends Follow on the other ranks.
  virtual ~TrainingBackend() = default;

  // "cpu", or the GPU's name; name of the base model, as TrainerRegister has them.
  [[nodiscard]] virtual std::string device() const = 0;
  [[nodiscard]] virtual std::string model_label() const = 0;
  // This process among those that mpirun started together: 0..ranks-1.
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int ranks() const = 0;

  // Trains a run to its end; goes on from its newest checkpoint if there is one. `run_id` is the {id} of
  // `trainingRuns/{id}`: 1..128 of [A-Za-z0-9_-], so that a folder may bear it. Rank 0, one run at a time;
  // blocks. The file stays until Forget. CANCELLED: hooks.stop() said so, and a checkpoint is written.
  // INVALID_ARGUMENT, NOT_FOUND: the request cannot be met, and the message is for the client. Anything else
  // may be tried again.
  virtual absl::StatusOr<TrainedRun> Train(const std::string& run_id, const v1::TrainingSpec& spec,
                                           const TrainHooks& hooks) = 0;

  // The run is published or cancelled: what is kept to resume it is no longer needed. Not while it trains.
  virtual void Forget(const std::string& run_id) = 0;

  // What a rank > 0 does instead: takes part in rank 0's runs, and returns when rank 0 is done.
  // `stop`: asked as TrainHooks::stop.
  virtual void Follow(const std::function<bool()>& stop) = 0;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_TRAINING_BACKEND_H_
