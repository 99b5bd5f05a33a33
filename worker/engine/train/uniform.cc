#include "worker/engine/train/uniform.h"

#include <algorithm>

namespace svi::engine {

double Uniform(at::Generator& generator) {
  return at::rand({}, generator, at::TensorOptions().dtype(at::kDouble)).item<double>();
}

size_t Pick(double uniform, size_t count) {
  return std::min(static_cast<size_t>(uniform * static_cast<double>(count)), count - 1);
}

}  // namespace svi::engine
