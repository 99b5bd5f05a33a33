#include "worker/engine/vae/resample.h"

namespace svi::engine {
namespace {

// Every pixel four times: [B, T, H, W, C] → [B, T, 2H, 2W, C].
at::Tensor NearestDouble(const at::Tensor& x) {
  const int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3), c = x.size(4);
  return x.view({b, t, h, 1, w, 1, c}).expand({b, t, h, 2, w, 2, c}).reshape({b, t, 2 * h, 2 * w, c});
}

}  // namespace

at::Tensor AvgDown(const at::Tensor& x, int64_t out_width, ResampleFactor factor) {
  if (factor.volume() == 1 && x.size(4) == out_width) return x;
  const int64_t missing = (factor.time - x.size(1) % factor.time) % factor.time;
  const at::Tensor padded = missing > 0 ? at::constant_pad_nd(x, {0, 0, 0, 0, 0, 0, missing, 0}) : x;
  const int64_t b = x.size(0), c = x.size(4), s = factor.space;
  const int64_t t = padded.size(1) / factor.time, h = x.size(2) / s, w = x.size(3) / s;
  const at::Tensor blocks = padded.view({b, t, factor.time, h, s, w, s, c}).permute({0, 1, 3, 5, 7, 2, 4, 6});
  return blocks.reshape({b, t, h, w, out_width, c * factor.volume() / out_width}).mean(-1);
}

void AddDupUp(const at::Tensor& x, ResampleFactor factor, bool first, at::Tensor& sum) {
  const int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3), c = x.size(4), out = sum.size(4);
  const int64_t repeats = out * factor.volume() / c;
  const at::Tensor dealt = x.unsqueeze(-1)
                               .expand({b, t, h, w, c, repeats})
                               .reshape({b, t, h, w, out, factor.time, factor.space, factor.space})
                               .permute({0, 1, 5, 2, 6, 3, 7, 4});
  const int64_t skipped = first ? factor.time - 1 : 0;
  sum.view({b, t, factor.time - skipped, h, factor.space, w, factor.space, out})
      .add_(dealt.narrow(2, skipped, factor.time - skipped));
}

Downsampler::Downsampler(const Scope& scope, int64_t width, bool time, SlotCounter& slots)
    : resample_(scope / "resample" / 1, width, width, /*stride=*/2, /*padding=*/0), slot_(slots.Next()) {
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
    : resample_(scope / "resample" / 1, width, width, /*stride=*/1, /*padding=*/1), slot_(slots.Next()) {
  if (time) time_conv_.emplace(scope / "time_conv", width, 2 * width);
}

at::Tensor Upsampler::Forward(const at::Tensor& x, StreamState& state) const {
  const bool doubles = time_conv_ && !state.first;
  return resample_.Forward(NearestDouble(doubles ? DoubleFrames(x, state) : x));
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
