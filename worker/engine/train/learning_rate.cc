#include "worker/engine/train/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace svi::engine {

double LearningRateAt(const LearningRateOptions& options, int64_t step) {
  const auto at = static_cast<double>(step), warmup = static_cast<double>(options.warmup_steps);
  if (step < options.warmup_steps) return options.base * at / warmup;
  if (options.schedule == LearningRateSchedule::kConstant) return options.base;
  const double length = std::max(1.0, static_cast<double>(options.total_steps) - warmup);
  const double progress = std::min(1.0, (at - warmup) / length);
  const double falling = options.schedule == LearningRateSchedule::kLinear
                             ? 1.0 - progress
                             : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return options.base * (options.final_ratio + (1.0 - options.final_ratio) * falling);
}

}  // namespace svi::engine
