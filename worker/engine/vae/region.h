// Parts of a picture: what a tile's convolutions know, and where they lose it.
#ifndef SVI_ENGINE_VAE_REGION_H_
#define SVI_ENGINE_VAE_REGION_H_

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace svi::engine {

// Which sides of a part are the picture's own: beyond those lie zeros. Beyond the other ones, the cut ones,
// lies more picture, unknown here, so that a 3-wide kernel gives one row or column less there.
struct Edges {
  bool top = true;
  bool bottom = true;
  bool left = true;
  bool right = true;
};

// [begin, end) of an axis that is `size` long.
struct Span {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size = 0;

  int64_t length() const { return end - begin; }
  bool cut_before() const { return begin > 0; }
  bool cut_after() const { return end < size; }
  Span Doubled() const { return {2 * begin, 2 * end, 2 * size}; }
  // `by` less at the cut ends.
  Span Shrunk(int64_t by) const {
    return {begin + (cut_before() ? by : 0), end - (cut_after() ? by : 0), size};
  }
  // `by` more at both ends, as far as the axis goes.
  Span Grown(int64_t by) const { return {std::max<int64_t>(begin - by, 0), std::min(end + by, size), size}; }
};

struct Region {
  Span rows;
  Span columns;

  Edges edges() const {
    return {!rows.cut_before(), !rows.cut_after(), !columns.cut_before(), !columns.cut_after()};
  }
  Region Doubled() const { return {rows.Doubled(), columns.Doubled()}; }
  Region Shrunk(int64_t by) const { return {rows.Shrunk(by), columns.Shrunk(by)}; }
  Region Grown(int64_t by) const { return {rows.Grown(by), columns.Grown(by)}; }
};

// The whole height × width, cut into parts of nearly equal size with sides of at most `side`; 0: one part.
[[nodiscard]] std::vector<Region> Tiles(int64_t height, int64_t width, int64_t side);

// A view of x [B, T, H, W, C], which covers `from`, that covers `to`, a part of `from`.
[[nodiscard]] at::Tensor Part(const at::Tensor& x, const Region& from, const Region& to);

// A view of x [B, T, H, W, C] without `by` rows or columns at the cut sides.
[[nodiscard]] at::Tensor Trim(const at::Tensor& x, int64_t by, const Edges& edges);

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_REGION_H_
