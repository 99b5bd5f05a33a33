#include "worker/engine/vae/resample.h"

namespace svi::engine {
at::Tensor AvgDown(const at::Tensor& x, int64_t out_width, ResampleFactor factor) {
  if (factor.volume() == 1 && x.size(4) == out_width) return x;
  const int64_t missing = (factor.time - x.size(1) % factor.time) % factor.time;
  const int64_t b = x.size(0), c = x.size(4), s = factor.space;
  const int64_t t = (x.size(1) + missing) / factor.time, h = x.size(2) / s, w = x.size(3) / s;
  const int64_t group = c * factor.volume() / out_width;
  if (group == s * s) {
    // The published model's groups: one frame's cells of one channel, a pooling.
    const at::Tensor pooled = at::avg_pool2d(x.flatten(0, 1).permute({0, 3, 1, 2}), s)
                                  .permute({0, 2, 3, 1})
                                  .unflatten(0, {b, x.size(1)});
    const at::Tensor padded =
        missing > 0 ? at::constant_pad_nd(pooled, {0, 0, 0, 0, 0, 0, missing, 0}) : pooled;
    return padded.unflatten(1, {t, factor.time}).permute({0, 1, 3, 4, 5, 2}).reshape({b, t, h, w, out_width});
  }
  const at::Tensor padded = missing > 0 ? at::constant_pad_nd(x, {0, 0, 0, 0, 0, 0, missing, 0}) : x;
  const at::Tensor blocks = padded.view({b, t, factor.time, h, s, w, s, c}).permute({0, 1, 3, 5, 7, 2, 4, 6});
  return blocks.reshape({b, t, h, w, out_width, group}).mean(-1);
}

at::Tensor DupUp(const at::Tensor& x, int64_t out_width, ResampleFactor factor, bool first) {
  const int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3), c = x.size(4);
  const int64_t repeats = out_width * factor.volume() / c;
  const at::Tensor dealt = x.unsqueeze(-1)
                               .expand({b, t, h, w, c, repeats})
                               .reshape({b, t, h, w, out_width, factor.time, factor.space, factor.space})
                               .permute({0, 1, 5, 2, 6, 3, 7, 4});
  return first ? dealt.narrow(2, factor.time - 1, 1) : dealt;
}

Downsampler::Downsampler(const Scope& scope, int64_t width, bool time, SlotCounter& slots)
    : resample_(scope / "resample" / 1, width, width), slot_(slots.Next()) {
  if (time) time_conv_.emplace(scope / "time_conv", width, width);
}

at::Tensor Downsampler::Forward(const at::Tensor& x, StreamState& state) const {
  const at::Tensor small = resample_.Forward(at::constant_pad_nd(x, {0, 0, 0, 1, 0, 1}));
  if (!time_conv_) return small;
  FrameCache& cache = state.at(slot_);
  const FrameCache before = cache;
  Remember(small, cache);
  if (state.first) return small;
  // Frame 2k of the video is every second one here, the chunk's second being the first of them.
  std::vector<at::Tensor> windows;
  for (int64_t t = 1; t < small.size(1); t += 2) windows.push_back(TemporalWindow(small, before, t, t + 1));
  return time_conv_->Forward(windows.size() == 1 ? windows[0] : at::cat(windows, 1));
}

Upsampler::Upsampler(const Scope& scope, int64_t width, bool time, SlotCounter& slots)
    : width_(width), resample_(scope / "resample" / 1, width, width), slot_(slots.Next()) {
  if (time) time_conv_.emplace(scope / "time_conv", width, 2 * width);
}

at::Tensor Upsampler::Forward(const at::Tensor& x, const at::Tensor& shortcut, StreamState& state) const {
  const bool doubles = time_conv_ && !state.first;
  const ResampleFactor factor{.time = time_conv_ ? 2 : 1, .space = 2};
  const at::Tensor dealt = DupUp(shortcut, width_, factor, state.first);
  const at::Tensor children = resample_.Forward(doubles ? DoubleFrames(x, state) : x, state.edges)
                                  .unflatten(1, {x.size(1), dealt.size(2)});
  const int64_t h = shortcut.size(2), w = shortcut.size(3);
  at::Tensor out = at::empty(dealt.sizes(), x.options());
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t column = 0; column < 2; ++column) {
      const auto child = [&](const at::Tensor& y) { return y.select(6, column).select(4, row); };
      at::Tensor place = child(out);
      // [B, T, time, H' + 1, W' + 1, 2, 2, C]
      const at::Tensor convolved =
          children.narrow(3, row, h).narrow(4, column, w).select(6, column).select(5, row);
      at::add_out(place, convolved, child(dealt));
    }
  }
  return out.view({x.size(0), x.size(1) * dealt.size(2), 2 * h, 2 * w, width_});
}

at::Tensor Upsampler::DoubleFrames(const at::Tensor& x, StreamState& state) const {
  FrameCache& cache = state.at(slot_);
  const at::Tensor pairs = time_conv_->Forward(TemporalWindow(x, cache, 0, x.size(1)));
  Remember(x, cache);
  // The first half of the channels is the even frame, the second half the odd one.
  const int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3), c = x.size(4);
  return pairs.view({b, t, h, w, 2, c}).permute({0, 1, 4, 2, 3, 5}).reshape({b, 2 * t, h, w, c});
}

}  // namespace svi::engine
