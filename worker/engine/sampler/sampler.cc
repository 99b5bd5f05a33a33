#include "worker/engine/sampler/sampler.h"

#include <stdexcept>

#include "worker/engine/sampler/unipc.h"

namespace svi::engine {
namespace {

class EulerSampler : public FlowSampler {
 public:
  explicit EulerSampler(Schedule schedule) : FlowSampler(std::move(schedule)) {}

 private:
  at::Tensor Advance(size_t index, const at::Tensor& velocity, const at::Tensor& sample) override {
    const auto& sigmas = schedule().sigmas;
    return at::add(sample, velocity, sigmas[index + 1] - sigmas[index]);
  }
};

}  // namespace

at::Tensor FlowSampler::Step(const at::Tensor& velocity, const at::Tensor& sample) {
  if (next_ >= schedule_.timesteps.size()) throw std::logic_error("the sampler has made its last step");
  if (velocity.sizes() != sample.sizes()) throw std::invalid_argument("velocity and sample differ in shape");
  return Advance(next_++, velocity.to(sample.scalar_type()), sample);
}

std::unique_ptr<FlowSampler> MakeSampler(Sampler kind, Schedule schedule) {
  switch (kind) {
    case Sampler::kUniPc:
      return std::make_unique<UniPcSampler>(std::move(schedule));
    case Sampler::kEuler:
      return std::make_unique<EulerSampler>(std::move(schedule));
  }
  throw std::invalid_argument("unknown sampler");
}

std::unique_ptr<FlowSampler> MakeSampler(Sampler kind, int steps, double shift) {
  return MakeSampler(kind, MakeSchedule(kind, steps, shift));
}

}  // namespace svi::engine
