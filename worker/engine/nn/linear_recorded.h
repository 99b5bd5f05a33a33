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

// What a computation is done for: its result, or only the graph behind it, with a result of the same shape
// whose values nobody looks at. The second lets a backward pass that computes a layer again leave out what
// comes last.
enum class Want { kResult, kGraph };

// Whether autograd would record an operation with this input; an undefined one never.
bool Recorded(const at::Tensor& input);

// x W^T + b, and + scale · (x A^T) B^T with an adapter, over the last axis in x's dtype, as one node of the
// graph. bias and adapter may be undefined and null. Keeps x only if a weight or adapter takes a gradient,
// and never the widened weight of a frozen layer: backward widens it again. The products are LinearUpcast's,
// so the result is bit-identical to what it gives unrecorded. With kGraph the weight's product, most of the
// work, is left out.
at::Tensor LinearRecorded(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const LoraAdapter* adapter = nullptr, Want want = Want::kResult);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_LINEAR_RECORDED_H_
