#include "worker/engine/train/data_order.h"

#include <ATen/CPUGeneratorImpl.h>

#include <initializer_list>
#include <stdexcept>

namespace svi::engine {
namespace {

// Apart from all streams of SampleGenerator.
constexpr uint64_t kOrderStream = ~uint64_t{0};

// SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

at::Generator SampleGenerator(uint64_t seed, int64_t position, uint64_t stream) {
  uint64_t state = 0;
  for (const uint64_t part : {seed, stream, static_cast<uint64_t>(position)}) state = Mix(state ^ part);
  // The generator's state comes from the lower half alone; both halves are mixed well.
  return at::detail::createCPUGenerator(state);
}

DataOrder::DataOrder(uint64_t seed, int64_t samples) : seed_(seed), samples_(samples) {
  if (samples < 1) throw std::invalid_argument("there are no samples to train on");
}

int64_t DataOrder::At(int64_t position) {
  if (const int64_t epoch = position / samples_; epoch != epoch_) {
    at::Generator random = SampleGenerator(seed_, epoch, kOrderStream);
    const at::Tensor order = at::randperm(samples_, random, at::TensorOptions().dtype(at::kLong));
    const int64_t* first = order.const_data_ptr<int64_t>();
    permutation_.assign(first, first + samples_);
    epoch_ = epoch;
  }
  return permutation_[static_cast<size_t>(position % samples_)];
}

}  // namespace svi::engine
