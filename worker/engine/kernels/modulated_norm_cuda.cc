#include <c10/cuda/CUDAStream.h>

#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/kernels/modulated_norm_launch.h"

namespace svi::engine {

at::Tensor ModulatedNormFused(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                              const at::Tensor& row_of_token, double eps) {
  const bool known_dtype = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  if (!x.is_cuda() || !known_dtype || !x.is_contiguous()) return {};
  const at::Tensor shift_f = shift.to(at::kFloat).contiguous(), scale_f = scale.to(at::kFloat).contiguous();
  const at::Tensor rows = row_of_token.expand({x.size(0), x.size(1)}).contiguous();
  at::Tensor out = at::empty_like(x);
  ModulatedNormArgs args{x.data_ptr(),
                         out.data_ptr(),
                         shift_f.data_ptr<float>(),
                         scale_f.data_ptr<float>(),
                         rows.data_ptr<int64_t>(),
                         x.size(0),
                         x.size(1),
                         shift.size(1),
                         x.size(2),
                         static_cast<float>(eps)};
  void* stream = c10::cuda::getCurrentCUDAStream(x.get_device()).stream();
  if (LaunchModulatedNorm(args, x.scalar_type() == at::kBFloat16, stream) != 0) return {};
  return out;
}

}  // namespace svi::engine
