#include "worker/engine/kernels/modulated_norm.h"

#include <ATen/CPUGeneratorImpl.h>

#include <atomic>

#include "worker/engine/kernels/modulated_norm_recorded.h"
#include "worker/engine/kernels/token_rows.h"
#include "worker/engine/nn/linear_recorded.h"

namespace svi::engine {
namespace {

std::atomic<bool> fused_allowed = true;

}  // namespace

at::Tensor ModulatedNormAten(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             const at::Tensor& row_of_token, double eps) {
  // Rounded once, behind the modulation, as the kernel and the references do.
  const at::Tensor wide = x.to(at::promote_types(x.scalar_type(), at::kFloat));
  const at::Tensor normed = at::layer_norm(wide, {x.size(-1)}, {}, {}, eps);
  // One row for all tokens, the common case of plain text-to-video, broadcasts.
  if (scale.size(1) == 1) return at::addcmul(shift, normed, scale + 1).to(x.scalar_type());
  return at::addcmul(SpreadRows(shift, row_of_token), normed, SpreadRows(scale, row_of_token).add_(1))
      .to(x.scalar_type());
}

at::Tensor ModulatedNorm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                         const at::Tensor& row_of_token, double eps) {
  if (Recorded(x) || Recorded(shift) || Recorded(scale)) {
    return ModulatedNormRecorded(x, shift, scale, row_of_token, eps);
  }
  if (x.is_cuda() && fused_allowed) {
    const at::Tensor fused = ModulatedNormFused(x, shift, scale, row_of_token, eps);
    if (fused.defined()) return fused;
  }
  return ModulatedNormAten(x, shift, scale, row_of_token, eps);
}

std::optional<std::string> CheckModulatedNorm(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  auto generator = at::detail::createCPUGenerator(7);
  auto random = [&](at::IntArrayRef shape) { return at::randn(shape, generator, at::kFloat).to(device); };
  const at::Tensor x = random({2, 37, 3072}), shift = random({2, 2, 3072}), scale = random({2, 2, 3072});
  const at::Tensor row = at::randint(0, 2, {2, 37}, generator, at::kLong).to(device);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? 1e-4 : 0.15;
    const at::Tensor fused = ModulatedNormFused(x.to(dtype), shift, scale, row, 1e-6);
    const at::Tensor aten = ModulatedNormAten(x.to(dtype), shift, scale, row, 1e-6);
    const double error =
        fused.defined() ? (fused.to(at::kFloat) - aten.to(at::kFloat)).abs().max().item<double>() : 0.0;
    if (!(error <= tolerance)) {
      fused_allowed = false;
      return "the fused modulated-norm kernel disagrees with ATen on this GPU by " + std::to_string(error) +
             ": ATen is used instead, which is slower";
    }
  }
  return std::nullopt;
}

}  // namespace svi::engine
