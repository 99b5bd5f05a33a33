// How fast to learn at which step.
#ifndef SVI_ENGINE_TRAIN_LEARNING_RATE_H_
#define SVI_ENGINE_TRAIN_LEARNING_RATE_H_

#include <cstdint>

#include "engine/train_options.h"

namespace svi::engine {

// Of step 0, 1, …: Diffusers' get_scheduler("constant_with_warmup", "cosine", "linear"), with a floor. Beyond
// total_steps the rate stays what it ended at.
double LearningRateAt(const LearningRateOptions& options, int64_t step);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_LEARNING_RATE_H_
