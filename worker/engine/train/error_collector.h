// From a step's predictions to the error banks.
#ifndef SVI_ENGINE_TRAIN_ERROR_COLLECTOR_H_
#define SVI_ENGINE_TRAIN_ERROR_COLLECTOR_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/train_options.h"
#include "worker/engine/train/collectives.h"
#include "worker/engine/train/error_recycling.h"
#include "worker/engine/train/train_step.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

class ErrorCollector {
 public:
  // `slots`: T, the target slots whose errors are kept, the last ones of every sample. `vae`: for
  // reencode_prob, otherwise null. `device`: the collectives'. All must outlive it.
  ErrorCollector(const TrainOptions& options, const TrainSchedule& schedule, int64_t slots, const Vae* vae,
                 Collectives& collectives, at::Device device, ErrorRecycling& recycling);

  // Measures the errors of a batch. `positions`: of its samples in the run. prediction [B, C, F, h, w].
  void Measure(const std::vector<DrawnSample>& samples, const std::vector<int64_t>& positions,
               const StepBatch& batch, const at::Tensor& prediction);

  // Banks what was measured since the last call; in warm-up (step < buffer_warmup_iter) on every rank what
  // all ranks measured, in the order of the ranks.
  void Bank(int64_t step);

  // Spent in the VAE since the last call, seconds.
  double TakeEncodeSeconds();

 private:
  struct Measured {
    int64_t position = 0;
    int64_t timestep_index = 0;
    bool clean = false;
    at::Tensor latent, noise;  // float32 [C, T, h, w] on the CPU; noise undefined without a noise bank
  };

  at::Tensor ReencodedError(const DrawnSample& drawn, const StepBatch& batch, const at::Tensor& prediction,
                            int64_t i);
  std::vector<Measured> OfAllRanks() const;

  const TrainOptions& options_;
  const TrainSchedule& schedule_;
  const int64_t slots_;
  const Vae* const vae_;
  Collectives& collectives_;
  const at::Device device_;
  ErrorRecycling& recycling_;
  std::vector<Measured> measured_;
  double encode_seconds_ = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_ERROR_COLLECTOR_H_
