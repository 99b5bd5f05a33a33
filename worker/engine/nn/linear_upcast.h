// The matrix products of linear layers.
#ifndef SVI_ENGINE_NN_LINEAR_UPCAST_H_
#define SVI_ENGINE_NN_LINEAR_UPCAST_H_

#include <ATen/ATen.h>

namespace svi::engine {

// x W^T + b over the last axis in x's dtype; weight [out, in] and bias [out] (or undefined) of any floating
// dtype. On a CPU a narrower weight is widened into memory that this thread keeps for it (at most 192 MiB),
// never as a whole new tensor. Bit-identical for equal shapes and numbers of threads. Takes gradients where
// they are asked for, as LinearRecorded.
at::Tensor LinearUpcast(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

// gradient [..., out] of x W^T + b → of x: gradient · W, in gradient's dtype; weight [out, in] widened as
// above. Not recorded.
at::Tensor LinearInputGradient(const at::Tensor& gradient, const at::Tensor& weight);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_LINEAR_UPCAST_H_
