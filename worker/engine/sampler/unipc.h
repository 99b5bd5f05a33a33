// UniPC: a multistep predictor and corrector for the flow (Zhao et al., arXiv 2302.04867).
#ifndef SVI_ENGINE_SAMPLER_UNIPC_H_
#define SVI_ENGINE_SAMPLER_UNIPC_H_

#include "worker/engine/sampler/sampler.h"

namespace svi::engine {

// Order 2, B(h) = expm1(-h), on the model's estimate of the clean sample, lower order in the first and the
// last step. A step corrects the sample it gets, knowing the new estimate there, and predicts the next one
// from that.
class UniPcSampler : public FlowSampler {
 public:
  explicit UniPcSampler(Schedule schedule) : FlowSampler(std::move(schedule)) {}

 private:
  at::Tensor Advance(size_t index, const at::Tensor& velocity, const at::Tensor& sample) override;

  // Half the log signal-to-noise ratio at a noise level: ln(1 - sigma) - ln(sigma).
  double Lambda(size_t level) const;
  size_t Order(size_t index) const;
  // The sample at `level`, integrated again from level - 1, now that the estimate at `level` is known.
  at::Tensor Correct(size_t level, const at::Tensor& clean) const;
  at::Tensor Predict(size_t index, const at::Tensor& clean, const at::Tensor& sample) const;

  // Of the last step and of the one before: the estimates the model made of the clean sample.
  at::Tensor clean_1_, clean_2_;
  at::Tensor start_1_;  // the corrected sample that the last step started from
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_SAMPLER_UNIPC_H_
