#include "worker/engine/vae/causal_conv.h"

#include <algorithm>
#include <array>

namespace svi::engine {
namespace {

constexpr int64_t kTaps = 3;

// Windows are three times their input; above this size they are made a few frames at a time.
constexpr int64_t kWindowBytes = int64_t{128} << 20;

// Frames [N, H, W, C] through a 2-D convolution without leaving the channels-last layout.
at::Tensor Conv2d(const at::Tensor& frames, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                  at::IntArrayRef padding) {
  const at::Tensor out = at::conv2d(frames.permute({0, 3, 1, 2}), weight, bias, stride, padding);
  return out.permute({0, 2, 3, 1}).contiguous();
}

at::Tensor FlattenFrames(const at::Tensor& x) { return x.flatten(0, 1); }

// The zeros that a kernel reaching one pixel far sees around a part of a picture: at::conv2d supplies them
// where both ends of an axis want them (`padding`), else they must be there already (`border`).
struct Zeros {
  explicit Zeros(const Edges& edges)
      : padding{edges.top && edges.bottom ? 1 : 0, edges.left && edges.right ? 1 : 0} {
    if (edges.top != edges.bottom) border.top = edges.top, border.bottom = edges.bottom;
    if (edges.left != edges.right) border.left = edges.left, border.right = edges.right;
  }
  // x [..., H, W, C]
  at::Tensor Add(const at::Tensor& x) const {
    const bool any = border.top + border.bottom + border.left + border.right > 0;
    return any ? at::constant_pad_nd(x, {0, 0, border.left, border.right, border.top, border.bottom}) : x;
  }

  Border border;
  std::array<int64_t, 2> padding;
};

// Small weights are copied, so that no view keeps a mapped file in memory once the large ones are folded. One
// that was missing stays undefined until WeightSource::Finish() reports it.
at::Tensor Own(const at::Tensor& weight) { return weight.defined() ? weight.clone() : weight; }

at::Tensor OwnChannelsLast(const at::Tensor& weight) {
  return weight.defined() ? weight.clone(at::MemoryFormat::ChannelsLast) : weight;
}

// Along one axis of a kernel: what each of the two children's 2-wide kernels is made of.
at::Tensor ChildKernel(const at::Tensor& weight, int64_t axis, int64_t child) {
  const auto tap = [&](int64_t i) { return weight.select(axis, i); };
  return child == 0 ? at::stack({tap(0), tap(1) + tap(2)}, axis) : at::stack({tap(0) + tap(1), tap(2)}, axis);
}

}  // namespace

at::Tensor Widened(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf ? x.to(at::kFloat) : x;
}

at::Tensor TemporalWindow(const at::Tensor& x, const FrameCache& cache, int64_t begin, int64_t end,
                          const Border& border) {
  const int64_t batch = x.size(0), height = x.size(2), width = x.size(3), channels = x.size(4);
  const int64_t rows = border.top + height + border.bottom, columns = border.left + width + border.right;
  const at::Tensor window = at::empty({batch, end - begin, rows, columns, kTaps * channels}, x.options());
  if (border.top > 0) window.narrow(2, 0, border.top).zero_();
  if (border.bottom > 0) window.narrow(2, rows - border.bottom, border.bottom).zero_();
  if (border.left > 0) window.narrow(3, 0, border.left).zero_();
  if (border.right > 0) window.narrow(3, columns - border.right, border.right).zero_();
  const at::Tensor inner = window.narrow(2, border.top, height).narrow(3, border.left, width);
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t tap = 0; tap < kTaps; ++tap) {
      const int64_t source = t + tap - (kTaps - 1);
      at::Tensor slot = inner.select(1, t - begin).narrow(-1, tap * channels, channels);
      const at::Tensor frame = source >= 0 ? x.select(1, source) : source == -1 ? cache.newer : cache.older;
      if (frame.defined()) {
        slot.copy_(frame);
      } else {
        slot.zero_();
      }
    }
  }
  return window;
}

void Remember(const at::Tensor& x, FrameCache& cache) {
  const int64_t frames = x.size(1);
  if (frames == 1) {
    cache.older = cache.newer;
    cache.newer = x.select(1, 0);
    return;
  }
  cache.older = x.select(1, frames - 2);
  cache.newer = x.select(1, frames - 1);
  if (frames > 2) {
    cache.older = cache.older.clone();
    cache.newer = cache.newer.clone();
  }
}

CausalConv::CausalConv(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots)
    : in_(in), out_(out), slot_(slots.Next()), bias_(Own(scope.Take("bias", {out}))) {
  const at::Tensor weight = scope.Take("weight", {out, in, kTaps, 3, 3});
  if (!weight.defined()) return;
  // One copy, into the layout of channels last: [out, row, column, tap, in] in memory.
  weight_ = weight.permute({0, 3, 4, 2, 1}).reshape({out, 3, 3, kTaps * in}).permute({0, 3, 1, 2});
}

at::Tensor CausalConv::Forward(const at::Tensor& x, StreamState& state) const {
  FrameCache& cache = state.at(slot_);
  const Zeros zeros(state.edges);
  const int64_t batch = x.size(0), frames = x.size(1);
  at::Tensor out;
  if (frames == 1 && !cache.newer.defined()) {
    // The video's first frame: two of three taps would multiply zeros.
    const at::Tensor newest_tap = weight_.narrow(1, (kTaps - 1) * in_, in_);
    out = Conv2d(zeros.Add(FlattenFrames(x)), newest_tap, bias_, 1, zeros.padding).unsqueeze(1);
  } else {
    const int64_t frame_bytes = x.numel() / frames * kTaps * static_cast<int64_t>(x.element_size());
    const int64_t at_once = std::clamp<int64_t>(kWindowBytes / frame_bytes, 1, frames);
    for (int64_t begin = 0; begin < frames; begin += at_once) {
      const int64_t end = std::min(begin + at_once, frames);
      const at::Tensor window = TemporalWindow(x, cache, begin, end, zeros.border);
      const at::Tensor some =
          Conv2d(FlattenFrames(window), weight_, bias_, 1, zeros.padding).unflatten(0, {batch, end - begin});
      if (at_once == frames) {
        out = some;
      } else {
        if (begin == 0) out = at::empty({batch, frames, some.size(2), some.size(3), out_}, x.options());
        out.slice(1, begin, end).copy_(some);
      }
    }
  }
  Remember(x, cache);
  return out;
}

TimeConv::TimeConv(const Scope& scope, int64_t in, int64_t out) : bias_(Own(scope.Take("bias", {out}))) {
  const at::Tensor weight = scope.Take("weight", {out, in, kTaps, 1, 1});
  if (!weight.defined()) return;
  weight_ = weight.reshape({out, in, kTaps}).transpose(1, 2).reshape({out, kTaps * in});
}

at::Tensor TimeConv::Forward(const at::Tensor& windows) const { return at::linear(windows, weight_, bias_); }

HalvingConv::HalvingConv(const Scope& scope, int64_t in, int64_t out)
    : weight_(OwnChannelsLast(scope.Take("weight", {out, in, 3, 3}))),
      bias_(Own(scope.Take("bias", {out}))) {}

at::Tensor HalvingConv::Forward(const at::Tensor& x) const {
  return Conv2d(FlattenFrames(x), weight_, bias_, 2, 0).unflatten(0, {x.size(0), x.size(1)});
}

DoublingConv::DoublingConv(const Scope& scope, int64_t in, int64_t out) : out_(out) {
  const at::Tensor weight = scope.Take("weight", {out, in, 3, 3}), bias = scope.Take("bias", {out});
  if (bias.defined()) bias_ = bias.repeat({4});
  if (!weight.defined()) return;
  weight_ = at::empty({4 * out, in, 2, 2}, weight.options(), at::MemoryFormat::ChannelsLast);
  for (int64_t child = 0; child < 4; ++child) {
    const at::Tensor rows = ChildKernel(Widened(weight), 2, child / 2);
    weight_.narrow(0, child * out, out).copy_(ChildKernel(rows, 3, child % 2));
  }
}

at::Tensor DoublingConv::Forward(const at::Tensor& x, const Edges& edges) const {
  const Zeros zeros(edges);
  return Conv2d(zeros.Add(FlattenFrames(x)), weight_, bias_, 1, zeros.padding)
      .unflatten(0, {x.size(0), x.size(1)})
      .unflatten(-1, {2, 2, out_});
}

PointConv::PointConv(const Scope& scope, int64_t in, int64_t out, int64_t spatial_axes) {
  std::vector<int64_t> shape(static_cast<size_t>(2 + spatial_axes), 1);
  shape[0] = out;
  shape[1] = in;
  weight_ = Own(scope.Take("weight", shape));
  bias_ = Own(scope.Take("bias", {out}));
  if (weight_.defined()) weight_ = weight_.reshape({out, in});
}

at::Tensor PointConv::Forward(const at::Tensor& x) const { return at::linear(x, weight_, bias_); }

}  // namespace svi::engine
