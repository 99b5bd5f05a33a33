#include "worker/engine/sampler/unipc.h"

#include <algorithm>
#include <cmath>

namespace svi::engine {

double UniPcSampler::Lambda(size_t level) const {
  const double sigma = schedule().sigmas[level];
  return std::log1p(-sigma) - std::log(sigma);
}

size_t UniPcSampler::Order(size_t index) const {
  return std::min({size_t{2}, schedule().timesteps.size() - index, index + 1});
}

at::Tensor UniPcSampler::Predict(size_t index, const at::Tensor& clean, const at::Tensor& sample) const {
  const double sigma = schedule().sigmas[index];
  const double next = schedule().sigmas[index + 1];
  // The last level's lambda is infinite; the limit of the formula is the estimate itself.
  if (next == 0.0) return clean.clone();
  const double h = Lambda(index + 1) - Lambda(index);
  const double phi = std::expm1(-h);
  const double alpha = 1.0 - next;
  at::Tensor result = sample * (next / sigma) - clean * (alpha * phi);
  if (Order(index) == 2) {
    const double r = (Lambda(index - 1) - Lambda(index)) / h;
    result = result - (clean_1_ - clean) * (alpha * phi * 0.5 / r);
  }
  return result;
}

at::Tensor UniPcSampler::Correct(size_t level, const at::Tensor& clean) const {
  const double sigma = schedule().sigmas[level];
  const double before = schedule().sigmas[level - 1];
  const double h = Lambda(level) - Lambda(level - 1);
  const double phi = std::expm1(-h);
  const double alpha = 1.0 - sigma;
  at::Tensor residual;
  if (Order(level - 1) == 1) {
    residual = (clean - clean_1_) * 0.5;
  } else {
    const double r = (Lambda(level - 2) - Lambda(level - 1)) / h;
    // The weights solve rho_1 + rho_2 = b_1, r rho_1 + rho_2 = b_2.
    const double k = phi / -h - 1.0;
    const double b1 = k / phi;
    const double b2 = 2.0 * (k / -h - 0.5) / phi;
    const double rho1 = (b2 - b1) / (r - 1.0);
    const double rho2 = b1 - rho1;
    residual = (clean_2_ - clean_1_) * (rho1 / r) + (clean - clean_1_) * rho2;
  }
  return start_1_ * (sigma / before) - clean_1_ * (alpha * phi) - residual * (alpha * phi);
}

at::Tensor UniPcSampler::Advance(size_t index, const at::Tensor& velocity, const at::Tensor& sample) {
  // From the sample the model saw; the corrector does not change it.
  const at::Tensor clean = at::sub(sample, velocity, schedule().sigmas[index]);
  const at::Tensor start = index == 0 ? sample.clone() : Correct(index, clean);
  const at::Tensor result = Predict(index, clean, start);
  clean_2_ = clean_1_;
  clean_1_ = clean;
  start_1_ = start;
  return result;
}

}  // namespace svi::engine
