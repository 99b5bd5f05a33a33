// Rotary position embedding over frame, row and column (Su et al., arXiv 2104.09864, with the head split in
// three).
#ifndef SVI_ENGINE_DIT_ROPE_H_
#define SVI_ENGINE_DIT_ROPE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <deque>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace svi::engine {

// Token counts of a video along its axes; tokens are in raster order.
struct TokenGrid {
  int64_t frames = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t tokens() const { return frames * rows * columns; }
  bool operator==(const TokenGrid&) const = default;
};

// exp(i * angle) for each token and rotated pair, complex64 [tokens, 1, head_dim / 2]. Of the head's width,
// 2 * floor(head_dim / 6) belong to the rows and as many to the columns, which come last; the rest, first, to
// the frames. Pair j of an axis of width d turns by position * 10000^(-2j/d). Angles are formed in double.
at::Tensor MakeRotations(const TokenGrid& grid, int64_t head_dim);

// x [B, tokens, heads, head_dim] with its neighbouring values (2j, 2j + 1) turned, in x's dtype; at least
// float32 inside.
at::Tensor Rotate(const at::Tensor& x, const at::Tensor& rotations);

// Remembers the rotations of the grids used last: all steps of a clip share one. Thread-safe.
class RotationCache {
 public:
  explicit RotationCache(int64_t head_dim) : head_dim_(head_dim) {}
  at::Tensor Get(const TokenGrid& grid, at::Device device);

 private:
  struct Entry {
    TokenGrid grid;
    at::Device device;
    at::Tensor rotations;
  };
  const int64_t head_dim_;
  std::mutex mutex_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // newest first
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_DIT_ROPE_H_
