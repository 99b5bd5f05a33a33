// An exponential moving average of what is trained, often better than the weights of any one step.
#ifndef SVI_ENGINE_TRAIN_WEIGHT_AVERAGE_H_
#define SVI_ENGINE_TRAIN_WEIGHT_AVERAGE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "worker/engine/train/parameter.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// Starts as a copy of the parameters.
class WeightAverage {
 public:
  // `decay` in [0, 1): average = decay · average + (1 - decay) · parameter. While few updates have been seen
  // the decay is min(decay, (1 + n) / (10 + n)), n the updates before, so that the first values fade.
  WeightAverage(std::vector<Parameter> parameters, double decay);

  // After each step of the optimiser.
  void Update();

  // The averages as "ema.NAME", the count of updates as "ema.updates" (int64). The tensors are its own.
  void Save(TensorFile& file) const;
  // Throws as AdamW::Load.
  void Load(const TensorFile& file);

  // Exchanges the parameters' values with the averages: once to evaluate or export the average, and again to
  // go on training. Copies nothing.
  void Swap();

 private:
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> averages_;
  double decay_;
  int64_t updates_ = 0;
};

// The average in the parameters' place for as long as this lives.
class AverageInPlace {
 public:
  explicit AverageInPlace(WeightAverage& average) : average_(average) { average_.Swap(); }
  ~AverageInPlace() { average_.Swap(); }
  AverageInPlace(const AverageInPlace&) = delete;
  AverageInPlace& operator=(const AverageInPlace&) = delete;

 private:
  WeightAverage& average_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_WEIGHT_AVERAGE_H_
