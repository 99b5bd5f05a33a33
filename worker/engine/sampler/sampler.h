// Integrators of the flow from noise to a clean sample.
#ifndef SVI_ENGINE_SAMPLER_SAMPLER_H_
#define SVI_ENGINE_SAMPLER_SAMPLER_H_

#include <ATen/ATen.h>

#include <memory>

#include "engine/types.h"
#include "worker/engine/sampler/schedule.h"

namespace svi::engine {

// One denoising run: Step is called schedule().timesteps.size() times. Not thread-safe.
class FlowSampler {
 public:
  virtual ~FlowSampler() = default;

  // velocity: the model's noise - clean for `sample` at the step's timestep; both of any one shape. Returns
  // the sample of the next noise level, in sample's dtype, never aliasing the arguments or the sampler's
  // memory of earlier steps. Throws std::logic_error after the last step, std::invalid_argument if the shapes
  // differ.
  [[nodiscard]] at::Tensor Step(const at::Tensor& velocity, const at::Tensor& sample);

  const Schedule& schedule() const { return schedule_; }

 protected:
  explicit FlowSampler(Schedule schedule) : schedule_(std::move(schedule)) {}

  // `index`: of the step, counted from 0.
  virtual at::Tensor Advance(size_t index, const at::Tensor& velocity, const at::Tensor& sample) = 0;

 private:
  Schedule schedule_;
  size_t next_ = 0;
};

// kUniPc: UniPC of order 2 on Wan's schedule. kEuler: Euler on SVI's.
std::unique_ptr<FlowSampler> MakeSampler(Sampler kind, int steps, double shift);
// The same over levels that somebody else chose.
std::unique_ptr<FlowSampler> MakeSampler(Sampler kind, Schedule schedule);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SAMPLER_SAMPLER_H_
