// One step's arithmetic around the model: from drawn samples to the model's inputs, and from its prediction
// to the loss and the errors that are recycled. Leading clean slots as in svi/denoise.h: fixed latents whose
// tokens carry timestep 0, here left out of the loss and of the errors.
#ifndef SVI_ENGINE_TRAIN_TRAIN_STEP_H_
#define SVI_ENGINE_TRAIN_TRAIN_STEP_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "worker/engine/train/error_recycling.h"
#include "worker/engine/train/flow_matching.h"
#include "worker/engine/train/windows.h"

namespace svi::engine {

// The rows that a prompt's embedding is padded to with zeros, as at inference (PromptEncoder).
inline constexpr int64_t kTextRows = 512;

// A sample and everything about it that is random.
struct DrawnSample {
  TrainingSample sample;
  int64_t timestep_index = 0;  // 0…999
  at::Tensor noise;            // float32 [C, F - clean slots, h, w]
  Injection injection;
};

// What the model gets and is to say, for samples of one size.
struct StepBatch {
  at::Tensor hidden;    // float32 [B, C, F, h, w]
  at::Tensor timestep;  // double [B, tokens]
  at::Tensor text;      // float32 [B, 512, text_dim], rows past a prompt zero
  std::vector<int64_t> clean_slots;
  std::vector<int64_t> timestep_index;
  std::vector<at::Tensor> noisy;   // [C, F - clean slots, h, w]
  std::vector<at::Tensor> target;  // likewise
};

// Injected errors of fewer slots than a sample has targets stand in the last ones; history errors in the last
// of the history slots. Throws std::invalid_argument where shapes do not fit.
StepBatch MakeBatch(const TrainSchedule& schedule, const std::vector<DrawnSample>& samples,
                    bool exact_target);

// prediction - target of sample `i`; prediction [B, C, F, h, w].
at::Tensor Miss(const StepBatch& batch, const at::Tensor& prediction, int64_t i);

// Sum over the batch of each sample's weighted loss: a scalar.
at::Tensor SummedLoss(const TrainSchedule& schedule, const StepBatch& batch, const at::Tensor& prediction);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_TRAIN_STEP_H_
