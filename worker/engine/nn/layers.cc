#include "worker/engine/nn/layers.h"

#include "worker/engine/nn/rms_norm_recorded.h"

namespace svi::engine {

Linear::Linear(const Scope& scope, int64_t in_features, int64_t out_features, bool bias)
    : weight_(scope.Take("weight", {out_features, in_features})) {
  if (bias) bias_ = scope.Take("bias", {out_features});
}

at::Tensor Linear::Forward(const at::Tensor& x, Want want) const {
  if (adapter_) return LinearRecorded(x, weight_, bias_, &*adapter_, want);
  return want == Want::kGraph ? LinearRecorded(x, weight_, bias_, nullptr, want)
                              : LinearUpcast(x, weight_, bias_);
}

RmsNorm::RmsNorm(const Scope& scope, int64_t width, double eps)
    : weight_(scope.Take("weight", {width})), eps_(eps) {}

at::Tensor RmsNorm::Forward(const at::Tensor& x) const {
  // The mean of squares is formed in float32 at least, whatever the dtype around it.
  const at::ScalarType dtype = at::promote_types(x.scalar_type(), at::kFloat);
  if (Recorded(x) || Recorded(weight_))
    return RmsNormRecorded(x.to(dtype), weight_.to(dtype), eps_).to(x.scalar_type());
  return at::rms_norm(x.to(dtype), {x.size(-1)}, weight_.to(dtype), eps_).to(x.scalar_type());
}

LayerNorm::LayerNorm(const Scope& scope, int64_t width, double eps)
    : weight_(scope.Take("weight", {width})), bias_(scope.Take("bias", {width})), eps_(eps) {}

at::Tensor LayerNorm::Forward(const at::Tensor& x) const {
  const at::ScalarType dtype = at::promote_types(x.scalar_type(), at::kFloat);
  return at::layer_norm(x.to(dtype), {x.size(-1)}, weight_.to(dtype), bias_.to(dtype), eps_)
      .to(x.scalar_type());
}

at::Tensor SplitHeads(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

at::Tensor Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  std::optional<at::Tensor> mask;
  if (bias.defined()) mask = bias.to(q.scalar_type()).expand({1, 1, q.size(2), k.size(2)});
  const at::Tensor out =
      at::scaled_dot_product_attention(q, k.to(q.scalar_type()), v.to(q.scalar_type()), mask);
  return out.transpose(1, 2).flatten(2);
}

}  // namespace svi::engine
