// Changes of resolution: the learned ones, and the parameter-free shortcuts beside them. Activations are [B,
// T, H, W, C].
#ifndef SVI_ENGINE_VAE_RESAMPLE_H_
#define SVI_ENGINE_VAE_RESAMPLE_H_

#include <optional>

#include "worker/engine/vae/causal_conv.h"

namespace svi::engine {

// How much a stage shrinks or grows its input: 1 or 2 along each.
struct ResampleFactor {
  int64_t time = 1;
  int64_t space = 1;
  int64_t volume() const { return time * space * space; }
};

// Averages blocks: the cells of a block and its channels, channel slowest, are one list, cut into out_width
// equal groups. Zero frames in front fill the first block, so the video's first frame counts half where time
// shrinks.
[[nodiscard]] at::Tensor AvgDown(const at::Tensor& x, int64_t out_width, ResampleFactor factor);

// The converse: each channel, repeated as often as needed, is dealt out to (output channel, cell of the
// block). x [B, T, H, W, C] → [B, T, factor.time, H, factor.space, W, factor.space, out_width], where
// possible a view. If `first`, only the last frame of x's first block exists: T must be 1, and the time axis
// is 1 long.
[[nodiscard]] at::Tensor DupUp(const at::Tensor& x, int64_t out_width, ResampleFactor factor, bool first);

// Halves the picture (zeros right and below, stride 2) and, if built so, the frame rate: the first frame
// passes untouched, then every second frame looks back over three. Weights "resample.1" and "time_conv".
class Downsampler {
 public:
  Downsampler(const Scope& scope, int64_t width, bool time, SlotCounter& slots);
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  HalvingConv resample_;
  std::optional<TimeConv> time_conv_;
  size_t slot_;
};

// Doubles, if built so, the frame rate (the video's first frame passes untouched, and the convolution in time
// never sees it), then the picture: nearest neighbour and a convolution. Weights "resample.1" and
// "time_conv".
class Upsampler {
 public:
  static constexpr int64_t kReach = 1;  // how many rows and columns of x are lost at a cut side

  Upsampler(const Scope& scope, int64_t width, bool time, SlotCounter& slots);
  // Of x [B, T, H, W, C], plus DupUp of `shortcut` [B, T, H', W', any], H' and W' being H and W without what
  // is lost → [B, T', 2H', 2W', C].
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& shortcut, StreamState& state) const;

 private:
  at::Tensor DoubleFrames(const at::Tensor& x, StreamState& state) const;

  int64_t width_;
  DoublingConv resample_;
  std::optional<TimeConv> time_conv_;
  size_t slot_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_RESAMPLE_H_
