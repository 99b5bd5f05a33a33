// What is trained, and its gradients as a whole.
#ifndef SVI_ENGINE_TRAIN_PARAMETER_H_
#define SVI_ENGINE_TRAIN_PARAMETER_H_

#include <ATen/ATen.h>

#include <string>
#include <vector>

namespace svi::engine {

// A float32 leaf that requires a gradient.
struct Parameter {
  std::string name;
  at::Tensor tensor;
};

// Runs backward from a scalar: adds to the gradients of every parameter it depends on. Call it outside
// at::NoGradGuard and c10::InferenceMode, as the forward pass that made `loss`.
void Backward(const at::Tensor& loss);

// Drops the gradients, so that the next backward pass sets them.
void ClearGradients(const std::vector<Parameter>& parameters);

// L2 norm over the gradients of all parameters together; one without a gradient counts as zero.
double GradientNorm(const std::vector<Parameter>& parameters);

// Scales gradients whose norm together is `norm` down to `max_norm` (times norm / (norm + 1e-6), as
// torch.nn.utils.clip_grad_norm_); nothing if they are below it.
void ClipGradients(const std::vector<Parameter>& parameters, double norm, double max_norm);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_PARAMETER_H_
