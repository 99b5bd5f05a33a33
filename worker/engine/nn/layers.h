// Layers that the models share. Weights stay in the dtype they are stored in and are cast to the input's
// dtype as they are used, so a bf16 checkpoint computes in float32 without ever being held twice.
#ifndef SVI_ENGINE_NN_LAYERS_H_
#define SVI_ENGINE_NN_LAYERS_H_

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "worker/engine/nn/linear_recorded.h"
#include "worker/engine/nn/linear_upcast.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// y = x W^T + b over the last axis. Takes "weight" [out, in] and "bias" [out].
class Linear {
 public:
  Linear(const Scope& scope, int64_t in_features, int64_t out_features, bool bias = true);
  at::Tensor Forward(const at::Tensor& x, Want want = Want::kResult) const;

  // [out, in]; a LoRA puts a merged one in its place, of the same shape and dtype and on the same device. Not
  // while Forward runs.
  const at::Tensor& weight() const { return weight_; }
  void set_weight(at::Tensor weight) { weight_ = std::move(weight); }

  // What training puts beside the weight; its tensors are on the weight's device. Not while Forward runs.
  const std::optional<LoraAdapter>& adapter() const { return adapter_; }
  void set_adapter(std::optional<LoraAdapter> adapter) { adapter_ = std::move(adapter); }

 private:
  at::Tensor weight_, bias_;
  std::optional<LoraAdapter> adapter_;
};

// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich, arXiv 1910.07467). Takes
// "weight" [width].
class RmsNorm {
 public:
  RmsNorm(const Scope& scope, int64_t width, double eps);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_;
  double eps_;
};

// (x - mean) / sqrt(var + eps) * weight + bias over the last axis (Ba et al., arXiv 1607.06450). Takes
// "weight" and "bias" [width].
class LayerNorm {
 public:
  LayerNorm(const Scope& scope, int64_t width, double eps);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  double eps_;
};

// [B, L, heads * d] → [B, heads, L, d].
at::Tensor SplitHeads(const at::Tensor& x, int64_t heads);

// softmax(q k^T / sqrt(d) + bias) v; q [B, heads, L, d], k and v [B, heads, M, d], cast to q's dtype; bias
// [M], the same for all queries, or undefined. Returns the heads side by side: [B, L, heads * d].
at::Tensor Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias = {});

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_LAYERS_H_
