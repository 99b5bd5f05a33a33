#include "worker/engine/train/adamw.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "worker/engine/train/training_state.h"

namespace svi::engine {
namespace {

constexpr char kMean[] = "optimizer.exp_avg.";
constexpr char kSquare[] = "optimizer.exp_avg_sq.";
constexpr char kSteps[] = "optimizer.step";

void Check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(std::string("AdamW: ") + what);
}

std::vector<at::Tensor> Zeros(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> zeros;
  for (const Parameter& parameter : parameters) zeros.push_back(at::zeros_like(parameter.tensor.detach()));
  return zeros;
}

void CopyInto(const std::vector<at::Tensor>& tensors, const std::vector<at::Tensor>& values) {
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].copy_(values[i]);
}

}  // namespace

AdamW::AdamW(std::vector<Parameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)),
      options_(options),
      exp_avg_(Zeros(parameters_)),
      exp_avg_sq_(Zeros(parameters_)) {
  Check(options.beta1 >= 0 && options.beta1 < 1, "beta1 must be at least 0 and below 1");
  Check(options.beta2 >= 0 && options.beta2 < 1, "beta2 must be at least 0 and below 1");
  Check(std::isfinite(options.epsilon) && options.epsilon >= 0, "epsilon must be at least 0");
  Check(std::isfinite(options.weight_decay) && options.weight_decay >= 0, "weight_decay must be at least 0");
}

void AdamW::Step(double learning_rate) {
  if (parameters_.empty()) return;
  const at::NoGradGuard not_recorded;
  std::vector<at::Tensor> values, gradients;
  for (const Parameter& parameter : parameters_) {
    const at::Tensor& gradient = parameter.tensor.grad();
    if (!gradient.defined()) throw std::invalid_argument("AdamW: " + parameter.name + " has no gradient");
    values.push_back(parameter.tensor);
    gradients.push_back(gradient.contiguous());
  }
  ++steps_;
  const at::Tensor step = at::full({}, static_cast<double>(steps_), values[0].options().requires_grad(false));
  const std::vector<at::Tensor> step_of_each(values.size(), step);
  at::_fused_adamw_(values, gradients, exp_avg_, exp_avg_sq_, /*max_exp_avg_sqs=*/{}, step_of_each,
                    learning_rate, options_.beta1, options_.beta2, options_.weight_decay, options_.epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
}

void AdamW::Save(TensorFile& file) const {
  SaveByParameter(file, kMean, parameters_, exp_avg_);
  SaveByParameter(file, kSquare, parameters_, exp_avg_sq_);
  SaveCount(file, kSteps, steps_);
}

void AdamW::Load(const TensorFile& file) {
  const std::vector<at::Tensor> means = FindByParameter(file, kMean, parameters_);
  const std::vector<at::Tensor> squares = FindByParameter(file, kSquare, parameters_);
  steps_ = StateCount(file, kSteps);
  CopyInto(exp_avg_, means);
  CopyInto(exp_avg_sq_, squares);
}

}  // namespace svi::engine
