// The samples of a run, each with everything about it that is random.
#ifndef SVI_ENGINE_TRAIN_SAMPLE_STREAM_H_
#define SVI_ENGINE_TRAIN_SAMPLE_STREAM_H_

#include <cstdint>

#include "engine/train_options.h"
#include "worker/engine/train/data_order.h"
#include "worker/engine/train/error_recycling.h"
#include "worker/engine/train/latent_cache.h"
#include "worker/engine/train/train_step.h"

namespace svi::engine {

// What a sample is follows from the seed, its position in the run and the banks, and from nothing that has
// been drawn before: the position is all the random state that a checkpoint has to hold, and ranks need not
// agree on anything.
class SampleStream {
 public:
  // All must outlive it; the cache is open.
  SampleStream(const TrainOptions& options, const WindowOptions& window, LatentCache& cache,
               ErrorRecycling& recycling);

  // Draws, in this order: the layout, whether the prompt is dropped, the timestep, the noise, the injection.
  DrawnSample At(int64_t position);

 private:
  const TrainOptions& options_;
  const WindowOptions window_;
  LatentCache& cache_;
  ErrorRecycling& recycling_;
  DataOrder order_;
};

// Streams of SampleGenerator, beside the sample's own.
inline constexpr uint64_t kSampleStream = 0;
inline constexpr uint64_t kBankStream = 1;      // which errors are banked, and what they replace
inline constexpr uint64_t kReencodeStream = 2;  // which errors are measured through the VAE

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_SAMPLE_STREAM_H_
