// Which sample comes when: a pure function of seed and position, so that a run's data position is one number.
#ifndef SVI_ENGINE_TRAIN_DATA_ORDER_H_
#define SVI_ENGINE_TRAIN_DATA_ORDER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace svi::engine {

// Goes through all samples in a new random order in each epoch; batches run on over an epoch's end. Position
// k counts the samples of all ranks: in a step that begins at position p, rank r of R takes p + r·b … p + r·b
// + b - 1 for its batch of b, and the next step begins at p + R·b. So R ranks with b samples each see
// together what one rank with R·b sees.
class DataOrder {
 public:
  // Throws std::invalid_argument if there are no samples.
  DataOrder(uint64_t seed, int64_t samples);

  // Index of the sample at position k ≥ 0. Not thread-safe: the current epoch's permutation is kept.
  int64_t At(int64_t position);

 private:
  const uint64_t seed_;
  const int64_t samples_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_;
};

// A CPU generator for everything that is drawn for the sample at a position (layout, timestep, noise, …),
// whichever rank draws it. `stream` keeps several uses of one position apart.
at::Generator SampleGenerator(uint64_t seed, int64_t position, uint64_t stream = 0);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_DATA_ORDER_H_
