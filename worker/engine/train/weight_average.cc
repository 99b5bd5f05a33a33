#include "worker/engine/train/weight_average.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/engine/train/training_state.h"

namespace svi::engine {
namespace {

constexpr char kAverage[] = "ema.";
constexpr char kUpdates[] = "ema.updates";

std::vector<at::Tensor> Values(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> values;
  for (const Parameter& parameter : parameters) values.push_back(parameter.tensor.detach());
  return values;
}

}  // namespace

WeightAverage::WeightAverage(std::vector<Parameter> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  if (!(decay >= 0 && decay < 1)) throw std::invalid_argument("EMA: decay must be at least 0 and below 1");
  for (const at::Tensor& value : Values(parameters_)) averages_.push_back(value.clone());
}

void WeightAverage::Update() {
  const auto seen = static_cast<double>(updates_++);
  if (averages_.empty()) return;
  at::_foreach_lerp_(averages_, Values(parameters_), 1.0 - std::min(decay_, (1.0 + seen) / (10.0 + seen)));
}

void WeightAverage::Save(TensorFile& file) const {
  SaveByParameter(file, kAverage, parameters_, averages_);
  SaveCount(file, kUpdates, updates_);
}

void WeightAverage::Load(const TensorFile& file) {
  const std::vector<at::Tensor> values = FindByParameter(file, kAverage, parameters_);
  updates_ = StateCount(file, kUpdates);
  for (size_t i = 0; i < values.size(); ++i) averages_[i].copy_(values[i]);
}

void WeightAverage::Swap() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor value = parameters_[i].tensor.detach();
    parameters_[i].tensor.set_data(averages_[i]);  // wherever else the tensor is held, too
    averages_[i] = value;
  }
}

}  // namespace svi::engine
