#include "worker/engine/dit/rope.h"

#include <c10/core/InferenceMode.h>

namespace svi::engine {
namespace {

constexpr size_t kCachedGrids = 2;

// Angles of one axis: [count, width / 2] doubles.
at::Tensor AxisAngles(int64_t count, int64_t width) {
  const auto doubles = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponents = at::arange(0, width, 2, doubles) / static_cast<double>(width);
  const at::Tensor frequencies = at::pow(10000.0, -exponents);
  return at::outer(at::arange(count, doubles), frequencies);
}

}  // namespace

at::Tensor MakeRotations(const TokenGrid& grid, int64_t head_dim) {
  const int64_t side = 2 * (head_dim / 6);
  const int64_t time = head_dim - 2 * side;
  const auto over_grid = [&](const at::Tensor& angles, at::IntArrayRef place) {
    const int64_t pairs = angles.size(1);
    return angles.view({place[0], place[1], place[2], pairs})
        .expand({grid.frames, grid.rows, grid.columns, pairs});
  };
  const at::Tensor angles = at::cat({over_grid(AxisAngles(grid.frames, time), {grid.frames, 1, 1}),
                                     over_grid(AxisAngles(grid.rows, side), {1, grid.rows, 1}),
                                     over_grid(AxisAngles(grid.columns, side), {1, 1, grid.columns})},
                                    -1)
                                .reshape({grid.tokens(), 1, head_dim / 2});
  return at::complex(angles.cos().to(at::kFloat), angles.sin().to(at::kFloat));
}

at::Tensor Rotate(const at::Tensor& x, const at::Tensor& rotations) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor pairs = at::view_as_complex(wide.unflatten(-1, {-1, 2}));
  return at::view_as_real(pairs * rotations).flatten(-2).to(x.scalar_type());
}

at::Tensor RotationCache::Get(const TokenGrid& grid, at::Device device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.grid == grid && entry.device == device) return entry.rotations;
  }
  // A tensor born in inference mode cannot be used for gradients later, and this one outlives the mode it is
  // made in.
  const c10::InferenceMode normal_tensors(false);
  entries_.push_front({grid, device, MakeRotations(grid, head_dim_).to(device)});
  if (entries_.size() > kCachedGrids) entries_.pop_back();
  return entries_.front().rotations;
}

}  // namespace svi::engine
