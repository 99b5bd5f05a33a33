// The training side of flow matching, by formula (shared notes svi-5b.md, "Flow matching" and "Error bank").
#ifndef SVI_ENGINE_TRAIN_FLOW_MATCHING_H_
#define SVI_ENGINE_TRAIN_FLOW_MATCHING_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace svi::engine {

inline constexpr int64_t kTrainTimesteps = 1000;
inline constexpr int64_t kErrorGrids = 50;

// Tables over the training index i = 0…999, i = 0 being pure noise.
struct TrainSchedule {
  std::vector<double> sigmas;        // shift·s / (1 + (shift-1)·s), s = 1 - i/1000
  std::vector<double> timesteps;     // 1000·sigma
  std::vector<double> loss_weights;  // Gaussian around t = 500, minus its minimum, mean 1
  std::vector<int64_t> grids;        // error grid of each index: the nearest of the 50 inference timesteps
};
TrainSchedule MakeTrainSchedule(double shift);

// One training step's tensors around the model call. Any shape; float32.
struct TrainStep {
  at::Tensor noisy_input;   // (1-σ)(x + e_latent) + σ(n + e_noise)
  at::Tensor target;        // (n + e_noise) - x, with the clean x
  at::Tensor loss;          // scalar: weight · mean((prediction - target)²)
  at::Tensor noise_error;   // (1-σ)(prediction - target)
  at::Tensor latent_error;  // -σ(prediction - target)
};
// e_noise, e_latent: undefined for none. `index`: 0…999.
TrainStep MakeTrainStep(const TrainSchedule& schedule, int64_t index, const at::Tensor& latents,
                        const at::Tensor& noise, const at::Tensor& prediction, const at::Tensor& e_noise,
                        const at::Tensor& e_latent);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_FLOW_MATCHING_H_
