// Noise levels of a denoising run. Flow matching: x_t = (1 - sigma) * clean + sigma * noise.
#ifndef SVI_ENGINE_SAMPLER_SCHEDULE_H_
#define SVI_ENGINE_SAMPLER_SCHEDULE_H_

#include <vector>

#include "engine/types.h"

namespace svi::engine {

struct Schedule {
  std::vector<double> sigmas;     // n + 1 falling noise levels; the last is 0
  std::vector<double> timesteps;  // n: what the model is told, 0..1000
};

// Both: steps 1..10000, shift > 0 and finite; std::invalid_argument otherwise. The shift moves steps towards
// the noise end: shift * u / (1 + (shift - 1) * u) (Esser et al., arXiv 2403.03206, section 5.3.2).

// Wan's own: u falls evenly from 0.999, timesteps are whole numbers, truncated.
Schedule UniPcSchedule(int steps, double shift);

// SVI's: u falls evenly from 1, timesteps are fractional (float32 values).
Schedule EulerSchedule(int steps, double shift);

// UniPcSchedule or EulerSchedule.
Schedule MakeSchedule(Sampler kind, int steps, double shift);

// Given levels, with timesteps as `kind` has them. `sigmas`: falling, from at most 1 to exactly 0; UniPC's
// first is below 1, where its logarithms are finite. Throws std::invalid_argument otherwise.
Schedule ScheduleOf(Sampler kind, std::vector<double> sigmas);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SAMPLER_SCHEDULE_H_
