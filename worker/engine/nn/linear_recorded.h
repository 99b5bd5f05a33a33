// Linear layers that are trained.
#ifndef SVI_ENGINE_NN_LINEAR_RECORDED_H_
#define SVI_ENGINE_NN_LINEAR_RECORDED_H_

#include <ATen/ATen.h>

namespace svi::engine {

// A low-rank term beside a linear layer's weight (Hu et al., arXiv 2106.09685): scale · up · down.
struct LoraAdapter {
  at::Tensor down;  // A: [rank, in]
  at::Tensor up;    // B: [out, rank]
  double scale = 1.0;
};

// Whether autograd would record an operation with this input; an undefined one never.
bool Recorded(const at::Tensor& input);

// x W^T + b, and + scale · (x A^T) B^T with an adapter, over the last axis in x's dtype, as one node of the
// graph. bias and adapter may be undefined and null. Keeps x only if a weight or adapter takes a gradient,
// and never the widened weight of a frozen layer: backward widens it again. The products are LinearUpcast's,
// so the result is bit-identical to what it gives unrecorded.
at::Tensor LinearRecorded(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const LoraAdapter* adapter = nullptr);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_LINEAR_RECORDED_H_
