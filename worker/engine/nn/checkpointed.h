// Gradient checkpointing: activations for time (Chen et al., arXiv 1604.06174). LibTorch has it in Python
// only.
#ifndef SVI_ENGINE_NN_CHECKPOINTED_H_
#define SVI_ENGINE_NN_CHECKPOINTED_H_

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "worker/engine/nn/linear_recorded.h"

namespace svi::engine {

// From the inputs, in their order, to one tensor. The same inputs must give the same result. What is asked
// for the second time is the graph alone.
using Computation = std::function<at::Tensor(const std::vector<at::Tensor>& inputs, Want want)>;

// compute(inputs), of which only the inputs are kept: the backward pass computes it again. `inputs`, all
// defined, are what gradients flow through to earlier computations; leaves that `compute` knows otherwise
// (weights) get theirs added as ever. Hence for Backward() only, not for torch::autograd::grad. Random
// numbers would be drawn twice. Without at::GradMode, the same as calling `compute`.
at::Tensor Checkpointed(Computation compute, const std::vector<at::Tensor>& inputs);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_CHECKPOINTED_H_
