#include "worker/engine/train/flow_matching.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "worker/engine/sampler/schedule.h"

namespace svi::engine {
namespace {

// Error grids are counted from the noise end, so index 0 is t = 1000. The first of equally near ones counts.
int64_t NearestGrid(const std::vector<double>& grid_timesteps, double timestep) {
  // The reference clamps to the whole timesteps of training.
  const double t = std::clamp(timestep, 0.0, static_cast<double>(kTrainTimesteps - 1));
  size_t nearest = 0;
  for (size_t i = 1; i < grid_timesteps.size(); ++i) {
    if (std::abs(grid_timesteps[i] - t) < std::abs(grid_timesteps[nearest] - t)) nearest = i;
  }
  return static_cast<int64_t>(nearest);
}

// A bell around sigma = 1/2 minus its least value, scaled to a mean of 1.
std::vector<double> GaussianWeights(const std::vector<double>& sigmas) {
  std::vector<double> weights;
  for (const double sigma : sigmas) weights.push_back(std::exp(-2.0 * (sigma - 0.5) * (sigma - 0.5)));
  const double least = *std::min_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight -= least;
  for (double& weight : weights) weight *= static_cast<double>(weights.size()) / sum;
  return weights;
}

void CheckSameShape(const at::Tensor& tensor, const at::Tensor& latents, const char* name) {
  if (tensor.defined() && tensor.sizes() != latents.sizes()) {
    throw std::invalid_argument(std::string(name) + " and latents differ in shape");
  }
}

}  // namespace

TrainSchedule MakeTrainSchedule(double shift, LossWeighting weighting) {
  TrainSchedule schedule;
  schedule.sigmas = EulerSchedule(static_cast<int>(kTrainTimesteps), shift).sigmas;
  schedule.sigmas.pop_back();  // the 0 that an integrator ends at
  for (const double sigma : schedule.sigmas) {
    schedule.timesteps.push_back(static_cast<double>(kTrainTimesteps) * sigma);
  }
  schedule.loss_weights = weighting == LossWeighting::kGaussian
                              ? GaussianWeights(schedule.sigmas)
                              : std::vector<double>(schedule.sigmas.size(), 1.0);

  const std::vector<double> grid_timesteps = EulerSchedule(static_cast<int>(kErrorGrids), shift).timesteps;
  for (const double t : schedule.timesteps) schedule.grids.push_back(NearestGrid(grid_timesteps, t));
  return schedule;
}

NoisyLatents MakeNoisy(const TrainSchedule& schedule, int64_t index, const at::Tensor& latents,
                       const at::Tensor& noise, const at::Tensor& e_noise, const at::Tensor& e_latent,
                       bool exact_target) {
  if (index < 0 || index >= kTrainTimesteps) {
    throw std::invalid_argument("the timestep's index must be 0 to " + std::to_string(kTrainTimesteps - 1));
  }
  CheckSameShape(noise, latents, "noise");
  CheckSameShape(e_noise, latents, "noise_error");
  CheckSameShape(e_latent, latents, "latent_error");
  const double sigma = schedule.sigmas.at(static_cast<size_t>(index));
  const at::Tensor noise_in = e_noise.defined() ? noise + e_noise : noise;
  const at::Tensor latents_in = e_latent.defined() ? latents + e_latent : latents;
  NoisyLatents noisy;
  noisy.input = latents_in * (1.0 - sigma) + noise_in * sigma;
  noisy.target = exact_target ? (noisy.input - latents) / sigma : noise_in - latents;
  return noisy;
}

at::Tensor WeightedLoss(const TrainSchedule& schedule, int64_t index, const at::Tensor& miss) {
  return miss.square().mean() * schedule.loss_weights.at(static_cast<size_t>(index));
}

OneStepErrors MakeErrors(const TrainSchedule& schedule, int64_t index, const at::Tensor& miss) {
  const double sigma = schedule.sigmas.at(static_cast<size_t>(index));
  return {miss * (1.0 - sigma), miss * -sigma};
}

}  // namespace svi::engine
