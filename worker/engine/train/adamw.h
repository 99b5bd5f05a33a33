// The optimiser: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
#ifndef SVI_ENGINE_TRAIN_ADAMW_H_
#define SVI_ENGINE_TRAIN_ADAMW_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "engine/train_options.h"
#include "worker/engine/train/parameter.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// As torch.optim.AdamW. Moments are float32 on the parameter's device.
class AdamW {
 public:
  // Throws std::invalid_argument naming the option: betas in [0, 1), the others not negative.
  AdamW(std::vector<Parameter> parameters, const AdamWOptions& options);

  // One step along the gradients, in place. The gradients stay. Throws std::invalid_argument, before anything
  // changes, if a parameter has none.
  void Step(double learning_rate);

  // Moments as "optimizer.exp_avg.NAME" and "optimizer.exp_avg_sq.NAME", the count of steps as
  // "optimizer.step" (int64). The file's tensors are the optimiser's own: write it before the next step.
  void Save(TensorFile& file) const;
  // Throws std::invalid_argument naming a tensor that is missing or of another shape or dtype; then nothing
  // has changed.
  void Load(const TensorFile& file);

  int64_t steps() const { return steps_; }

 private:
  std::vector<Parameter> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_;
  int64_t steps_ = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_ADAMW_H_
