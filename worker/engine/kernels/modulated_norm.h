// LayerNorm followed by per-token modulation, the DiT's most memory-bound step.
#ifndef SVI_ENGINE_KERNELS_MODULATED_NORM_H_
#define SVI_ENGINE_KERNELS_MODULATED_NORM_H_

#include <ATen/ATen.h>

#include <optional>
#include <string>

namespace svi::engine {

// x [B, L, D]; shift, scale [B, R, D]: a row for each distinct timestep; row_of_token int64 [B, L], values <
// R. Returns LayerNorm(x, no affine) * (1 + scale[row]) + shift[row] in x's dtype: [B, L, D]. (Peebles and
// Xie, arXiv 2212.09748, section 3.2, adaLN, with a timestep a token.) On CUDA one fused kernel reads x
// once and never builds the [B, L, D] modulation; otherwise ATen. Of x, shift and scale gradients can be
// taken.
at::Tensor ModulatedNorm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                         const at::Tensor& row_of_token, double eps);

// The same through ATen only: the definition.
at::Tensor ModulatedNormAten(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             const at::Tensor& row_of_token, double eps);

// The fused kernel, or an undefined tensor where it cannot serve (no CUDA in this build, dtype, not
// contiguous).
at::Tensor ModulatedNormFused(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                              const at::Tensor& row_of_token, double eps);

// Compares the fused kernel with ATen on this device. If they disagree the kernel is not used from then on,
// and the returned warning says so. Call once, when the engine loads, before other threads use the engine.
std::optional<std::string> CheckModulatedNorm(at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_KERNELS_MODULATED_NORM_H_
