// The training side of flow matching, by formula (shared notes svi-5b.md, "Flow matching" and "Error bank").
#ifndef SVI_ENGINE_TRAIN_FLOW_MATCHING_H_
#define SVI_ENGINE_TRAIN_FLOW_MATCHING_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "engine/train_options.h"

namespace svi::engine {

inline constexpr int64_t kTrainTimesteps = 1000;
inline constexpr int64_t kErrorGrids = 50;

// Tables over the training index i = 0…999, i = 0 being pure noise.
struct TrainSchedule {
  std::vector<double> sigmas;        // shift·s / (1 + (shift-1)·s), s = 1 - i/1000
  std::vector<double> timesteps;     // 1000·sigma
  std::vector<double> loss_weights;  // mean 1; kGaussian: a bell around t = 500, minus its minimum
  std::vector<int64_t> grids;        // error grid of each index: the nearest of the 50 inference timesteps
};
TrainSchedule MakeTrainSchedule(double shift, LossWeighting weighting = LossWeighting::kGaussian);

// What the model sees of one sample, and what it is to say. Any shape; float32.
struct NoisyLatents {
  at::Tensor input;   // (1-σ)(x + e_latent) + σ(n + e_noise)
  at::Tensor target;  // (n + e_noise) - x, with the clean x; exact: (input - x) / σ
};
// e_noise, e_latent: undefined for none. `index`: 0…999. Throws std::invalid_argument on an index or a shape
// that does not fit.
NoisyLatents MakeNoisy(const TrainSchedule& schedule, int64_t index, const at::Tensor& latents,
                       const at::Tensor& noise, const at::Tensor& e_noise, const at::Tensor& e_latent,
                       bool exact_target = false);

// weight · mean(miss²), a scalar; `miss` is prediction - target.
at::Tensor WeightedLoss(const TrainSchedule& schedule, int64_t index, const at::Tensor& miss);

// The errors of the two one-step predictions, against their own ground truths.
struct OneStepErrors {
  at::Tensor noise;   // at σ = 1: (1-σ)(prediction - target)
  at::Tensor latent;  // at σ = 0: -σ(prediction - target)
};
OneStepErrors MakeErrors(const TrainSchedule& schedule, int64_t index, const at::Tensor& miss);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_FLOW_MATCHING_H_
