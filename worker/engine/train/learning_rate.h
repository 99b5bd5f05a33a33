// How fast to learn at which step.
#ifndef SVI_ENGINE_TRAIN_LEARNING_RATE_H_
#define SVI_ENGINE_TRAIN_LEARNING_RATE_H_

#include <cstdint>

namespace svi::engine {

enum class LearningRateSchedule { kConstant, kCosine, kLinear };

struct LearningRateOptions {
  double base = 1e-4;  // the highest
  LearningRateSchedule schedule = LearningRateSchedule::kConstant;
  int64_t warmup_steps = 0;  // rises linearly over these: step 0 of a warm-up learns nothing
  int64_t total_steps = 0;   // where cosine and linear end; constant does not look at it
  double final_ratio = 0;    // of the base, what cosine and linear end at
};

// Of step 0, 1, …: Diffusers' get_scheduler("constant_with_warmup", "cosine", "linear"), with a floor. Beyond
// total_steps the rate stays what it ended at.
double LearningRateAt(const LearningRateOptions& options, int64_t step);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_LEARNING_RATE_H_
