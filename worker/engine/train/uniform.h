// Random numbers one at a time, so that what a draw takes from a generator does not depend on its outcome.
#ifndef SVI_ENGINE_TRAIN_UNIFORM_H_
#define SVI_ENGINE_TRAIN_UNIFORM_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>

namespace svi::engine {

// Uniform in [0, 1), 53 bits, from a CPU generator.
double Uniform(at::Generator& generator);

// What a uniform number picks of `count` > 0 equally likely places.
size_t Pick(double uniform, size_t count);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_UNIFORM_H_
