#include "worker/engine/sampler/schedule.h"

#include <cmath>
#include <stdexcept>
#include <utility>

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

Schedule MakeSchedule(Sampler kind, int steps, double shift) {
  return kind == Sampler::kUniPc ? UniPcSchedule(steps, shift) : EulerSchedule(steps, shift);
}

Schedule ScheduleOf(Sampler kind, std::vector<double> sigmas) {
  const bool unipc = kind == Sampler::kUniPc;
  if (sigmas.size() < 2 || sigmas.size() > kMaxSteps + 1) {
    throw std::invalid_argument("there must be 2 to 10001 sigmas: the last one is 0");
  }
  if (!(sigmas.front() <= 1.0) || (unipc && sigmas.front() == 1.0)) {
    throw std::invalid_argument(unipc ? "the first sigma must be below 1"
                                      : "the first sigma must be at most 1");
  }
  for (size_t i = 1; i < sigmas.size(); ++i) {
    if (!(sigmas[i] < sigmas[i - 1])) throw std::invalid_argument("sigmas must fall");
  }
  if (sigmas.back() != 0.0) throw std::invalid_argument("the last sigma must be 0");
  Schedule schedule{std::move(sigmas), {}};
  for (size_t i = 0; i + 1 < schedule.sigmas.size(); ++i) {
    // In float32, as levels come out of a file: 1000 times the float nearest to 0.9 is to be 900, not
    // 899.99….
    const float timestep = static_cast<float>(schedule.sigmas[i]) * static_cast<float>(kTrainTimesteps);
    schedule.timesteps.push_back(unipc ? std::trunc(timestep) : timestep);
  }
  return schedule;
}

}  // namespace svi::engine
