#include "worker/engine/vae/blocks.h"

#include <cmath>

namespace svi::engine {
namespace {

constexpr double kSmallestNorm = 1e-12;

at::Tensor NormSilu(const ChannelNorm& norm, const at::Tensor& x) {
  at::Tensor y = norm.Forward(x);
  return at::silu_(y);
}

}  // namespace

ChannelNorm::ChannelNorm(const Scope& scope, int64_t width, int64_t spatial_axes) {
  std::vector<int64_t> shape(static_cast<size_t>(1 + spatial_axes), 1);
  shape[0] = width;
  const at::Tensor gamma = scope.Take("gamma", shape);
  if (gamma.defined()) scale_ = Widened(gamma).flatten() * std::sqrt(static_cast<double>(width));
}

at::Tensor ChannelNorm::Forward(const at::Tensor& x) const {
  const at::Tensor wide = Widened(x);
  at::Tensor length = at::linalg_vector_norm(wide, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  at::Tensor y = wide / length.clamp_min_(kSmallestNorm);
  return y.mul_(scale_).to(x.scalar_type());
}

ResidualBlock::ResidualBlock(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots)
    : norm1_(scope / "norm1", in, 3),
      conv1_(scope / "conv1", in, out, slots),
      norm2_(scope / "norm2", out, 3),
      conv2_(scope / "conv2", out, out, slots) {
  if (in != out) conv_shortcut_.emplace(scope / "conv_shortcut", in, out, 3);
}

at::Tensor ResidualBlock::Forward(const at::Tensor& x, StreamState& state) const {
  const at::Tensor middle = conv1_.Forward(NormSilu(norm1_, x), state);
  at::Tensor out = conv2_.Forward(NormSilu(norm2_, middle), state);
  const at::Tensor input = Trim(x, kReach, state.edges);
  return out.add_(conv_shortcut_ ? conv_shortcut_->Forward(input) : input);
}

AttentionBlock::AttentionBlock(const Scope& scope, int64_t width)
    : norm_(scope / "norm", width, 2),
      to_qkv_(scope / "to_qkv", width, 3 * width, 2),
      proj_(scope / "proj", width, width, 2) {}

at::Tensor AttentionBlock::Forward(const at::Tensor& x) const {
  const at::Tensor tokens = x.flatten(2, 3).flatten(0, 1).unsqueeze(1);  // [B·T, 1 head, H·W, C]
  const auto qkv = to_qkv_.Forward(norm_.Forward(tokens)).chunk(3, -1);
  const at::Tensor mixed = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  return proj_.Forward(mixed).reshape(x.sizes()).add_(x);
}

MidBlock::MidBlock(const Scope& scope, int64_t width, SlotCounter& slots)
    : resnet0_(scope / "resnets" / 0, width, width, slots),
      attention_(scope / "attentions" / 0, width),
      resnet1_(scope / "resnets" / 1, width, width, slots) {}

at::Tensor MidBlock::Forward(const at::Tensor& x, StreamState& state) const {
  return resnet1_.Forward(attention_.Forward(resnet0_.Forward(x, state)), state);
}

OutputHead::OutputHead(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots)
    : norm_(scope / "norm_out", in, 3), conv_(scope / "conv_out", in, out, slots) {}

at::Tensor OutputHead::Forward(const at::Tensor& x, StreamState& state) const {
  return conv_.Forward(NormSilu(norm_, x), state);
}

}  // namespace svi::engine
