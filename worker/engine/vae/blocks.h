// What encoder and decoder are made of. Activations are [B, T, H, W, C].
#ifndef SVI_ENGINE_VAE_BLOCKS_H_
#define SVI_ENGINE_VAE_BLOCKS_H_

#include <optional>

#include "worker/engine/vae/causal_conv.h"

namespace svi::engine {

// x / max(‖x‖₂ over channels, 1e-12) · √C · gamma, for every position by itself; fp32 inside for half types.
class ChannelNorm {
 public:
  // Weight "gamma" [width, 1, …] with `spatial_axes` ones.
  ChannelNorm(const Scope& scope, int64_t width, int64_t spatial_axes);
  at::Tensor Forward(const at::Tensor& x) const;  // always a new tensor

 private:
  at::Tensor scale_;  // √C · gamma, fp32 for half types
};

// norm, SiLU, conv, norm, SiLU, conv, plus the input; a 1×1×1 convolution fits the input where the width
// changes.
class ResidualBlock {
 public:
  static constexpr int64_t kReach = 2;  // how many rows and columns are lost at a cut side

  ResidualBlock(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots);
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  ChannelNorm norm1_;
  CausalConv conv1_;
  ChannelNorm norm2_;
  CausalConv conv2_;
  std::optional<PointConv> conv_shortcut_;
};

// Single-head attention over the positions of one frame.
class AttentionBlock {
 public:
  AttentionBlock(const Scope& scope, int64_t width);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  ChannelNorm norm_;
  PointConv to_qkv_;
  PointConv proj_;
};

// Residual, attention, residual.
class MidBlock {
 public:
  MidBlock(const Scope& scope, int64_t width, SlotCounter& slots);
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  ResidualBlock resnet0_;
  AttentionBlock attention_;
  ResidualBlock resnet1_;
};

// norm, SiLU, conv: how encoder and decoder end ("norm_out", "conv_out" of the scope).
class OutputHead {
 public:
  static constexpr int64_t kReach = 1;  // as ResidualBlock's

  OutputHead(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots);
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  ChannelNorm norm_;
  CausalConv conv_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_BLOCKS_H_
