// Convolutions that look back in time, and what they remember between chunks of one video.
//
// Inside the VAE activations lie channels-last, [B, T, H, W, C]: norms and 1×1 convolutions then work on the
// last axis, and a temporal kernel becomes "the three frames' channels side by side", which turns every 3-D
// convolution into a 2-D one or a matrix product. On CPU that took between as long as at::conv3d (512
// channels) and a twelfth of it (32 to 12 channels, large frames).
#ifndef SVI_ENGINE_VAE_CAUSAL_CONV_H_
#define SVI_ENGINE_VAE_CAUSAL_CONV_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/engine/vae/region.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// The two input frames [B, H, W, C] before the next one. Undefined stands for a frame of zeros: before the
// video.
struct FrameCache {
  at::Tensor older;
  at::Tensor newer;
};

// The memory of one video, or of one tile of it: a cache for each temporal convolution, at the slot that
// convolution was built with.
struct StreamState {
  std::vector<FrameCache> caches;
  bool first = true;  // no chunk has been handled yet
  Edges edges;        // of the part of the picture that is being handled

  FrameCache& at(size_t slot) { return caches[slot]; }
};

// Deals out slots while a model is built.
class SlotCounter {
 public:
  size_t Next() { return count_++; }
  size_t count() const { return count_; }

 private:
  size_t count_ = 0;
};

// fp32 for half types, else the tensor itself.
[[nodiscard]] at::Tensor Widened(const at::Tensor& x);

// Rows and columns of zeros around a picture.
struct Border {
  int64_t top = 0;
  int64_t bottom = 0;
  int64_t left = 0;
  int64_t right = 0;
};

// Output frame t's taps, side by side, for t in [begin, end): x [B, T, H, W, C] → [B, end - begin, H, W, 3C]
// holding frames t-2 | t-1 | t, with `border` around each.
[[nodiscard]] at::Tensor TemporalWindow(const at::Tensor& x, const FrameCache& cache, int64_t begin,
                                        int64_t end, const Border& border = {});

// Makes the last two frames of (cache, x) the cache. Copies them if they would keep a longer chunk alive.
void Remember(const at::Tensor& x, FrameCache& cache);

// 3×3×3, zeros around the picture, causal in time; H' and W' are one less for each cut side of
// StreamState::edges. Weights "weight" [out, in, 3, 3, 3] and "bias".
class CausalConv {
 public:
  CausalConv(const Scope& scope, int64_t in, int64_t out, SlotCounter& slots);
  // [B, T, H, W, in] → [B, T, H', W', out].
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  int64_t in_;
  int64_t out_;
  size_t slot_;
  at::Tensor weight_;  // [out, 3·in, 3, 3], taps slowest
  at::Tensor bias_;
};

// 3×1×1 without padding: the caller says which frames each output sees. Weights "weight" [out, in, 3, 1, 1],
// "bias".
class TimeConv {
 public:
  TimeConv(const Scope& scope, int64_t in, int64_t out);
  // Windows [..., 3·in] → [..., out].
  at::Tensor Forward(const at::Tensor& windows) const;

 private:
  at::Tensor weight_;  // [out, 3·in]
  at::Tensor bias_;
};

// 3×3 with stride 2 and without padding on every frame by itself. Weights "weight" [out, in, 3, 3], "bias".
class HalvingConv {
 public:
  HalvingConv(const Scope& scope, int64_t in, int64_t out);
  // [B, T, H, W, in] → [B, T, (H-1)/2, (W-1)/2, out].
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
};

// A picture doubled by nearest neighbour and then convolved 3×3, every frame by itself. Of a doubled pixel's
// nine neighbours some are equal, so each of a pixel's four children is a 2×2 convolution of the small
// picture with sums of the kernel's entries: 4/9 of the arithmetic. Weights "weight" [out, in, 3, 3], "bias".
class DoublingConv {
 public:
  DoublingConv(const Scope& scope, int64_t in, int64_t out);
  // [B, T, H, W, in] → [B, T, H' + 1, W' + 1, 2, 2, out], H' and W' being one less than H and W for each cut
  // side: the child (r, c) of pixel (y, x) of the H' × W' ones lies at [y + r, x + c, r, c].
  at::Tensor Forward(const at::Tensor& x, const Edges& edges) const;

 private:
  int64_t out_;
  at::Tensor weight_;  // [4·out, in, 2, 2], children slowest
  at::Tensor bias_;    // [4·out]
};

// A 1×1 (`spatial_axes` 2) or 1×1×1 (3) convolution. Weights "weight" [out, in, 1, 1(, 1)], "bias".
class PointConv {
 public:
  PointConv(const Scope& scope, int64_t in, int64_t out, int64_t spatial_axes);
  at::Tensor Forward(const at::Tensor& x) const;                   // [..., in] → [..., out]
  at::TensorOptions options() const { return weight_.options(); }  // what inputs must be

 private:
  at::Tensor weight_;  // [out, in]
  at::Tensor bias_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_CAUSAL_CONV_H_
