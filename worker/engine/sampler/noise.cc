#include "worker/engine/sampler/noise.h"

#include <ATen/CPUGeneratorImpl.h>

namespace svi::engine {

at::Tensor InitialNoise(uint64_t seed, at::IntArrayRef shape) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions().dtype(at::kFloat));
}

}  // namespace svi::engine
