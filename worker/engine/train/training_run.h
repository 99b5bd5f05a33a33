// One training run on this rank, from data set to LoRA.
#ifndef SVI_ENGINE_TRAIN_TRAINING_RUN_H_
#define SVI_ENGINE_TRAIN_TRAINING_RUN_H_

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/trainer.h"
#include "worker/engine/train/adamw.h"
#include "worker/engine/train/checkpoint_folder.h"
#include "worker/engine/train/collectives.h"
#include "worker/engine/train/error_collector.h"
#include "worker/engine/train/error_recycling.h"
#include "worker/engine/train/latent_cache.h"
#include "worker/engine/train/progress_meter.h"
#include "worker/engine/train/sample_stream.h"
#include "worker/engine/train/trainable.h"
#include "worker/engine/train/weight_average.h"

namespace svi::engine {

// The run was told to stop, and has left a checkpoint if it had begun.
class RunStopped : public std::runtime_error {
 public:
  RunStopped() : std::runtime_error("the run was stopped") {}
};

// This rank failed by itself and the others wait for it: the processes cannot go on together.
class RankFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// All ranks failed for the same reason and can begin another run.
class RunFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where a run takes place.
struct RunSite {
  std::string model_dir;
  std::string run_dir;
  std::string cache_dir;
  at::Device device = at::kCPU;
  at::ScalarType compute_dtype = at::kFloat;  // of the transformer's activations
  int64_t model_parameters = 0;               // of the transformer
};

// Phases, in order: Prepare (cache, model, optimiser, checkpoint), Steps, Export. What fails on one rank in
// Prepare ends all ranks with the same error; a failure later is that rank's own and the others notice its
// silence.
class TrainingRun {
 public:
  // `options` with the model's defaults filled in. All references must outlive it.
  TrainingRun(const TrainOptions& options, const RunSite& site, VideoSource& videos, Collectives& collectives,
              const TrainCallbacks& callbacks);
  ~TrainingRun();

  // Throws RunStopped, RunFailed, RankFailed, RankLost, and before the first step what the parts throw; with
  // one rank always what the parts throw.
  TrainResult Execute();

 private:
  // training_setup.cc
  void Prepare();
  void CheckOptions();
  void FillCache();
  void LoadModel();
  void Restore();
  bool StopAsked();
  void ClearStopRequest();
  // Runs `work` on every rank; if it throws on any, all throw.
  void Together(const std::function<void()>& work);

  // training_run.cc
  void Steps();
  void Step();
  at::Tensor Pass(
      int64_t first_position);  // one forward and backward pass; returns the summed loss, detached
  void Learn();                 // from the gradients of all ranks
  void Report();
  void WriteCheckpoint();
  TrainResult Export();

  int64_t samples_a_pass() const { return options_.batch_size * collectives_.size(); }
  int64_t samples_a_step() const { return samples_a_pass() * options_.gradient_accumulation_steps; }
  bool first_rank() const { return collectives_.rank() == 0; }
  bool full() const { return options_.objective == Objective::kFull; }
  void Log(const std::string& line) const;

  const TrainOptions options_;
  const RunSite site_;
  VideoSource& videos_;
  Collectives& collectives_;
  const TrainCallbacks& callbacks_;
  const WindowOptions window_;
  const TrainSchedule schedule_;

  std::unique_ptr<LatentCache> cache_;
  std::unique_ptr<Vae> vae_;  // for reencode_prob only
  std::optional<Trainable> trainable_;
  std::optional<AdamW> optimizer_;
  std::optional<WeightAverage> average_;
  std::optional<ErrorRecycling> recycling_;
  std::optional<SampleStream> samples_;
  std::optional<ErrorCollector> collector_;
  CheckpointFolder checkpoints_;
  ProgressMeter meter_;
  TrainReport report_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_TRAINING_RUN_H_
