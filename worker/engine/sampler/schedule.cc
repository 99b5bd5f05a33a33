#include "worker/engine/sampler/schedule.h"

#include <cmath>
#include <stdexcept>

namespace svi::engine {
namespace {

constexpr double kTrainTimesteps = 1000.0;
constexpr int kMaxSteps = 10000;

// `steps` shifted levels that start at `first`, then 0.
std::vector<double> ShiftedSigmas(int steps, double shift, double first) {
  if (steps < 1 || steps > kMaxSteps) throw std::invalid_argument("steps must be 1 to 10000");
  if (!(shift > 0.0) || !std::isfinite(shift)) throw std::invalid_argument("shift must be positive");
  std::vector<double> sigmas;
  sigmas.reserve(static_cast<size_t>(steps) + 1);
  const double stride = -first / steps;
  for (int i = 0; i < steps; ++i) {
    const double u = i * stride + first;
    sigmas.push_back(shift * u / (1.0 + (shift - 1.0) * u));
  }
  sigmas.push_back(0.0);
  return sigmas;
}

}  // namespace

Schedule UniPcSchedule(int steps, double shift) {
  // Wan keeps its largest training level as a float32; timesteps that fall close to a whole number depend on
  // it.
  const double first = static_cast<float>(1.0 - 1.0 / kTrainTimesteps);
  Schedule schedule{ShiftedSigmas(steps, shift, first), {}};
  for (int i = 0; i < steps; ++i)
    schedule.timesteps.push_back(std::trunc(schedule.sigmas[i] * kTrainTimesteps));
  return schedule;
}

Schedule EulerSchedule(int steps, double shift) {
  Schedule schedule{ShiftedSigmas(steps, shift, 1.0), {}};
  for (int i = 0; i < steps; ++i) {
    schedule.timesteps.push_back(static_cast<float>(schedule.sigmas[i] * kTrainTimesteps));
  }
  return schedule;
}

}  // namespace svi::engine
