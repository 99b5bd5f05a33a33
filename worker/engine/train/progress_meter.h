// How fast a run goes.
#ifndef SVI_ENGINE_TRAIN_PROGRESS_METER_H_
#define SVI_ENGINE_TRAIN_PROGRESS_METER_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace svi::engine {

// Over the last steps, so that a slow start or a checkpoint is soon forgotten.
class ProgressMeter {
 public:
  static constexpr size_t kSteps = 20;

  void Step(absl::Time now, int64_t samples) {
    if (last_ != absl::InfinitePast()) {
      steps_.push_back({now - last_, samples});
      if (steps_.size() > kSteps) steps_.pop_front();
    }
    last_ = now;
  }

  // 0 before two steps are known.
  double SamplesPerSecond() const {
    double samples = 0;
    for (const Took& step : steps_) samples += static_cast<double>(step.samples);
    const double seconds = absl::ToDoubleSeconds(Total());
    return seconds > 0 ? samples / seconds : 0;
  }

  // Infinite before two steps are known.
  absl::Duration Eta(int64_t steps_left) const {
    if (steps_.empty()) return absl::InfiniteDuration();
    return Total() / static_cast<int64_t>(steps_.size()) * steps_left;
  }

 private:
  struct Took {
    absl::Duration time;
    int64_t samples;
  };
  absl::Duration Total() const {
    absl::Duration total;
    for (const Took& step : steps_) total += step.time;
    return total;
  }

  std::deque<Took> steps_;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_PROGRESS_METER_H_
