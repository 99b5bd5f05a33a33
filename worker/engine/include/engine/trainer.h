// The engine's other facade: the error-recycling trainer (Stable Video Infinity, arXiv 2510.09212).
#ifndef SVI_ENGINE_TRAINER_H_
#define SVI_ENGINE_TRAINER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "engine/train_options.h"
#include "engine/video_source.h"

namespace svi::engine {

// Seconds of one step, by what they went into.
struct TrainPhases {
  double data = 0;    // reading the cache, laying out, random numbers
  double encode = 0;  // VAE passes inside the step (reencode_prob)
  double forward = 0;
  double backward = 0;
  double optimizer = 0;  // gradients over all ranks, clipping, AdamW
  double bank = 0;
};

// Where a run stands; rank 0's view. proto/svi/v1/training_service.proto, TrainingProgress, has the units.
struct TrainReport {
  std::string phase;  // what goes on before the first step; empty afterwards
  int64_t step = 0;
  int64_t max_steps = 0;
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;
  int64_t samples = 0;
  double samples_per_second = 0;  // over the last steps
  absl::Duration eta = absl::InfiniteDuration();
  std::vector<int64_t> latent_bank_grids, noise_bank_grids;  // entries
  double latent_bank_mean = 0, latent_bank_std = 0, noise_bank_mean = 0, noise_bank_std = 0;
  double clean_share = 0;
  int64_t banked_errors = 0, skipped_errors = 0;
  int64_t checkpoint_step = 0;
  int64_t videos = 0, skipped_videos = 0;
  TrainPhases phases;  // of this step
};

struct TrainCallbacks {
  // Asked before each step and each video that is encoded; true ends the run with CANCELLED, after a
  // checkpoint.
  std::function<bool()> stop = [] { return false; };
  std::function<void(const TrainReport&)> report = [](const TrainReport&) {};
  // Lines for the log: what is unusual about the options, videos that are skipped, checkpoints.
  std::function<void(const std::string&)> log = [](const std::string&) {};
};

struct TrainResult {
  std::string lora_path;   // objective kLora; in the run's folder
  std::string model_path;  // objective kFull: a whole model folder
  TrainReport last;
};

struct TrainerOptions {
  // Asked while waiting for other ranks; true: the wait is given up, UNAVAILABLE. When a rank dies, mpirun
  // sends SIGTERM to the others: true some seconds after that lets a step end that was only slow.
  std::function<bool()> give_up_waiting = [] { return false; };
};

// A model and the processes that train it together: one process, or as many as mpirun started. Every rank
// makes one and calls the same methods in the same order. Thread-compatible.
class Trainer {
 public:
  // Errors as Engine::Load; the weights themselves are read by Run. Uses model_dir, device and num_threads of
  // the options.
  static absl::StatusOr<std::unique_ptr<Trainer>> Load(const EngineOptions& options,
                                                       const TrainerOptions& trainer = {});
  virtual ~Trainer() = default;

  virtual const EngineInfo& info() const = 0;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  // Rank 0's text, on all ranks; how it tells the others what to do next. UNAVAILABLE: a rank is lost.
  virtual absl::StatusOr<std::string> Broadcast(const std::string& text) = 0;

  // Trains to options.max_steps. `run_dir` (the same on all ranks; made if need be) holds the run's
  // checkpoints and results; the newest checkpoint in it is continued. `cache_dir` holds encoded data sets
  // and may be shared between runs. CANCELLED: stopped, a checkpoint is written. INVALID_ARGUMENT: an option,
  // the data set, or a checkpoint that other options made. FAILED_PRECONDITION: it was made by another number
  // of ranks. UNAVAILABLE: a rank was lost; the newest checkpoint is good. RESOURCE_EXHAUSTED: out of memory.
  // INTERNAL: the loss is not finite, and all else.
  virtual absl::StatusOr<TrainResult> Run(const TrainOptions& options, const std::string& run_dir,
                                          const std::string& cache_dir, VideoSource& videos,
                                          const TrainCallbacks& callbacks) = 0;

  // The good end, called by every rank; nothing may be called after it. A rank whose process ends without it
  // has failed in mpirun's eyes, which then ends the others.
  virtual void Finish() = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAINER_H_
