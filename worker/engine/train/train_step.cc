#include "worker/engine/train/train_step.h"

#include <stdexcept>

namespace svi::engine {
namespace {

// [C, k, h, w] as the last k of `slots` slots, zeros before it; undefined stays undefined.
at::Tensor AtTheEnd(const at::Tensor& error, int64_t slots) {
  if (!error.defined() || error.size(1) == slots) return error;
  if (error.size(1) > slots) throw std::invalid_argument("an injected error has more slots than the sample");
  std::vector<int64_t> shape = error.sizes().vec();
  shape[1] = slots - error.size(1);
  return at::cat({at::zeros(shape, error.options()), error}, 1);
}

// The condition with its error. The anchor is never touched: the error has as many slots as there is history
// at most.
at::Tensor CleanSlots(const DrawnSample& drawn) {
  const TrainingSample& sample = drawn.sample;
  const at::Tensor clean = sample.latents.narrow(1, 0, sample.clean_slots);
  const at::Tensor& error = drawn.injection.history_error;
  if (!error.defined()) return clean;
  if (error.size(1) > sample.history_slots) {
    throw std::invalid_argument("a history error has more slots than there is history");
  }
  return clean + AtTheEnd(error, sample.clean_slots);
}

at::Tensor PaddedText(const at::Tensor& prompt) {
  if (prompt.dim() != 2 || prompt.size(0) > kTextRows) {
    throw std::invalid_argument("a prompt's embedding must be [at most 512, text_dim]");
  }
  return at::constant_pad_nd(prompt, {0, 0, 0, kTextRows - prompt.size(0)});
}

// Of the tokens of one sample, each 2×2 latents: 0 in the clean slots.
at::Tensor TokenTimesteps(const at::Tensor& latents, int64_t clean_slots, double timestep) {
  const int64_t a_slot = latents.size(2) / 2 * (latents.size(3) / 2);
  at::Tensor t = at::full({latents.size(1) * a_slot}, timestep, at::kDouble);
  t.narrow(0, 0, clean_slots * a_slot).zero_();
  return t;
}

}  // namespace

StepBatch MakeBatch(const TrainSchedule& schedule, const std::vector<DrawnSample>& samples,
                    bool exact_target) {
  StepBatch batch;
  std::vector<at::Tensor> hidden, timestep, text;
  for (const DrawnSample& drawn : samples) {
    const TrainingSample& sample = drawn.sample;
    const int64_t targets = sample.latents.size(1) - sample.clean_slots;
    const NoisyLatents noisy =
        MakeNoisy(schedule, drawn.timestep_index, sample.latents.narrow(1, sample.clean_slots, targets),
                  drawn.noise, AtTheEnd(drawn.injection.noise_error, targets),
                  AtTheEnd(drawn.injection.latent_error, targets), exact_target);
    hidden.push_back(at::cat({CleanSlots(drawn), noisy.input}, 1));
    timestep.push_back(TokenTimesteps(sample.latents, sample.clean_slots,
                                      schedule.timesteps.at(static_cast<size_t>(drawn.timestep_index))));
    text.push_back(PaddedText(sample.prompt));
    batch.clean_slots.push_back(sample.clean_slots);
    batch.timestep_index.push_back(drawn.timestep_index);
    batch.noisy.push_back(noisy.input);
    batch.target.push_back(noisy.target);
  }
  batch.hidden = at::stack(hidden);
  batch.timestep = at::stack(timestep);
  batch.text = at::stack(text);
  return batch;
}

at::Tensor Miss(const StepBatch& batch, const at::Tensor& prediction, int64_t i) {
  const auto index = static_cast<size_t>(i);
  const at::Tensor& target = batch.target.at(index);
  // The loss is formed in float32, whatever the model computes in.
  return prediction[i].narrow(1, batch.clean_slots.at(index), target.size(1)).to(at::kFloat) -
         target.to(prediction.device());
}

at::Tensor SummedLoss(const TrainSchedule& schedule, const StepBatch& batch, const at::Tensor& prediction) {
  at::Tensor sum;
  for (int64_t i = 0; i < prediction.size(0); ++i) {
    const at::Tensor loss =
        WeightedLoss(schedule, batch.timestep_index.at(static_cast<size_t>(i)), Miss(batch, prediction, i));
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum;
}

}  // namespace svi::engine
