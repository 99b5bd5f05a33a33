// The modulated norm when it is trained through.
#ifndef SVI_ENGINE_KERNELS_MODULATED_NORM_RECORDED_H_
#define SVI_ENGINE_KERNELS_MODULATED_NORM_RECORDED_H_

#include <ATen/ATen.h>

namespace svi::engine {

// ModulatedNorm as one node of the graph. Keeps x and the rows, nothing else of x's size.
at::Tensor ModulatedNormRecorded(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                 const at::Tensor& row_of_token, double eps);

}  // namespace svi::engine

#endif  // SVI_ENGINE_KERNELS_MODULATED_NORM_RECORDED_H_
