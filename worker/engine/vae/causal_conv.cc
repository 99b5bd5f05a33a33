#include "worker/engine/vae/causal_conv.h"

#include <algorithm>

namespace svi::engine {
namespace {

constexpr int64_t kTaps = 3;

// Windows are three times their input; above this size they are made a few frames at a time.
constexpr int64_t kWindowBytes = int64_t{128} << 20;

// Frames [N, H, W, C] through a 2-D convolution without leaving the channels-last layout.
at::Tensor Conv2d(const at::Tensor& frames, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                  int64_t padding) {
  const at::Tensor out = at::conv2d(frames.permute({0, 3, 1, 2}), weight, bias, stride, padding);
  return out.permute({0, 2, 3, 1}).contiguous();
}

at::Tensor FlattenFrames(const at::Tensor& x) { return x.flatten(0, 1); }

// A weight that was missing stays undefined until WeightSource::Finish() reports it.
at::Tensor ChannelsLast(const at::Tensor& weight) {
  return weight.defined() ? weight.contiguous(at::MemoryFormat::ChannelsLast) : weight;
}

}  // namespace

at::Tensor TemporalWindow(const at::Tensor& x, const FrameCache& cache, int64_t begin, int64_t end) {
  const int64_t channels = x.size(4);
  at::Tensor window =
      at::empty({x.size(0), end - begin, x.size(2), x.size(3), kTaps * channels}, x.options());
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t tap = 0; tap < kTaps; ++tap) {
      const int64_t source = t + tap - (kTaps - 1);
      at::Tensor slot = window.select(1, t - begin).narrow(-1, tap * channels, channels);
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
    : in_(in), out_(out), slot_(slots.Next()), weight_(scope.Take("weight", {out, in, kTaps, 3, 3})) {
  bias_ = scope.Take("bias", {out});
  if (!weight_.defined()) return;
  weight_ = ChannelsLast(weight_.permute({0, 2, 1, 3, 4}).reshape({out, kTaps * in, 3, 3}));
}

at::Tensor CausalConv::Forward(const at::Tensor& x, StreamState& state) const {
  FrameCache& cache = state.at(slot_);
  const int64_t batch = x.size(0), frames = x.size(1), height = x.size(2), width = x.size(3);
  at::Tensor out;
  if (frames == 1 && !cache.newer.defined()) {
    // The video's first frame: two of three taps would multiply zeros.
    const at::Tensor newest_tap = weight_.narrow(1, (kTaps - 1) * in_, in_);
    out = Conv2d(FlattenFrames(x), newest_tap, bias_, 1, 1).unsqueeze(1);
  } else {
    const int64_t frame_bytes = batch * height * width * kTaps * in_ * static_cast<int64_t>(x.element_size());
    const int64_t at_once = std::clamp<int64_t>(kWindowBytes / frame_bytes, 1, frames);
    const auto convolve = [&](int64_t begin, int64_t end) {
      const at::Tensor window = TemporalWindow(x, cache, begin, end);
      return Conv2d(FlattenFrames(window), weight_, bias_, 1, 1).unflatten(0, {batch, end - begin});
    };
    if (at_once == frames) {
      out = convolve(0, frames);
    } else {
      out = at::empty({batch, frames, height, width, out_}, x.options());
      for (int64_t begin = 0; begin < frames; begin += at_once) {
        const int64_t end = std::min(begin + at_once, frames);
        out.slice(1, begin, end).copy_(convolve(begin, end));
      }
    }
  }
  Remember(x, cache);
  return out;
}

TimeConv::TimeConv(const Scope& scope, int64_t in, int64_t out)
    : weight_(scope.Take("weight", {out, in, kTaps, 1, 1})) {
  bias_ = scope.Take("bias", {out});
  if (weight_.defined())
    weight_ = weight_.reshape({out, in, kTaps}).transpose(1, 2).reshape({out, kTaps * in});
}

at::Tensor TimeConv::Forward(const at::Tensor& windows) const { return at::linear(windows, weight_, bias_); }

FrameConv::FrameConv(const Scope& scope, int64_t in, int64_t out, int64_t stride, int64_t padding)
    : stride_(stride), padding_(padding), weight_(ChannelsLast(scope.Take("weight", {out, in, 3, 3}))) {
  bias_ = scope.Take("bias", {out});
}

at::Tensor FrameConv::Forward(const at::Tensor& x) const {
  return Conv2d(FlattenFrames(x), weight_, bias_, stride_, padding_).unflatten(0, {x.size(0), x.size(1)});
}

PointConv::PointConv(const Scope& scope, int64_t in, int64_t out, int64_t spatial_axes) {
  std::vector<int64_t> shape(static_cast<size_t>(2 + spatial_axes), 1);
  shape[0] = out;
  shape[1] = in;
  weight_ = scope.Take("weight", shape);
  bias_ = scope.Take("bias", {out});
  if (weight_.defined()) weight_ = weight_.reshape({out, in});
}

at::Tensor PointConv::Forward(const at::Tensor& x) const { return at::linear(x, weight_, bias_); }

}  // namespace svi::engine
