#include "worker/engine/train/parameter.h"

namespace svi::engine {
namespace {

std::vector<at::Tensor> Gradients(const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : parameters) {
    if (const at::Tensor& gradient = parameter.tensor.grad(); gradient.defined()) {
      gradients.push_back(gradient);
    }
  }
  return gradients;
}

}  // namespace

void Backward(const at::Tensor& loss) { loss.backward(); }

void ClearGradients(const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters) {
    at::Tensor tensor = parameter.tensor;
    tensor.mutable_grad().reset();
  }
}

double GradientNorm(const std::vector<Parameter>& parameters) {
  const std::vector<at::Tensor> gradients = Gradients(parameters);
  if (gradients.empty()) return 0.0;
  // One value comes back from the device, not one a tensor.
  const at::Tensor norms = at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble);
  return at::linalg_vector_norm(norms).item<double>();
}

void ClipGradients(const std::vector<Parameter>& parameters, double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  const std::vector<at::Tensor> gradients = Gradients(parameters);
  if (factor < 1.0 && !gradients.empty()) at::_foreach_mul_(gradients, factor);
}

}  // namespace svi::engine
