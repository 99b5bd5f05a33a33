#include "worker/engine/vae/region.h"

namespace svi::engine {
namespace {

constexpr int64_t kRows = 2;
constexpr int64_t kColumns = 3;

std::vector<Span> Cut(int64_t size, int64_t side) {
  const int64_t parts = side == 0 ? 1 : (size - 1) / side + 1;
  std::vector<Span> spans;
  for (int64_t i = 0; i < parts; ++i) spans.push_back({size * i / parts, size * (i + 1) / parts, size});
  return spans;
}

}  // namespace

std::vector<Region> Tiles(int64_t height, int64_t width, int64_t side) {
  std::vector<Region> tiles;
  for (const Span& rows : Cut(height, side)) {
    for (const Span& columns : Cut(width, side)) tiles.push_back({rows, columns});
  }
  return tiles;
}

at::Tensor Part(const at::Tensor& x, const Region& from, const Region& to) {
  return x.narrow(kRows, to.rows.begin - from.rows.begin, to.rows.length())
      .narrow(kColumns, to.columns.begin - from.columns.begin, to.columns.length());
}

at::Tensor Trim(const at::Tensor& x, int64_t by, const Edges& edges) {
  return x.slice(kRows, edges.top ? 0 : by, x.size(kRows) - (edges.bottom ? 0 : by))
      .slice(kColumns, edges.left ? 0 : by, x.size(kColumns) - (edges.right ? 0 : by));
}

}  // namespace svi::engine
