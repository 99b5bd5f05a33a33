#include "worker/drift/still_cells.h"

#include <algorithm>
#include <limits>

namespace svi::drift {

StillCells::StillCells(int width, int height)
    : width_(width),
      height_(height),
      columns_((width + kSide - 1) / kSide),
      rows_((height + kSide - 1) / kSide),
      sum_(size_t{3} * columns_ * rows_),
      least_(sum_.size(), std::numeric_limits<int32_t>::max()),
      greatest_(sum_.size(), std::numeric_limits<int32_t>::min()) {}

void StillCells::Add(const engine::Picture& frame) {
  std::fill(sum_.begin(), sum_.end(), 0);
  const uint8_t* pixel = frame.rgb.data();
  for (int y = 0; y < height_; ++y) {
    int32_t* cell = &sum_[size_t{3} * columns_ * (y / kSide)];
    for (int left = 0; left < width_; left += kSide, cell += 3) {
      const int end = std::min(left + kSide, width_);
      for (int x = left; x < end; ++x, pixel += 3) {
        cell[0] += pixel[0];
        cell[1] += pixel[1];
        cell[2] += pixel[2];
      }
    }
  }
  for (size_t i = 0; i < sum_.size(); ++i) {
    least_[i] = std::min(least_[i], sum_[i]);
    greatest_[i] = std::max(greatest_[i], sum_[i]);
  }
}

std::vector<uint8_t> StillCells::Moving() const {
  std::vector<uint8_t> moving(size_t{1} * columns_ * rows_);
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column) {
      const int pixels = std::min(kSide, width_ - column * kSide) * std::min(kSide, height_ - row * kSide);
      const size_t cell = size_t{1} * row * columns_ + column;
      for (size_t i = 3 * cell; i < 3 * cell + 3; ++i) {
        if (greatest_[i] - least_[i] > kMovingRange * pixels) moving[cell] = 1;
      }
    }
  }
  return moving;
}

std::vector<uint8_t> StillCells::Still() const {
  const std::vector<uint8_t> moving = Moving();
  std::vector<uint8_t> still(moving.size(), 1);
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column) {
      if (!moving[size_t{1} * row * columns_ + column]) continue;
      for (int r = std::max(row - 1, 0); r <= std::min(row + 1, rows_ - 1); ++r) {
        for (int c = std::max(column - 1, 0); c <= std::min(column + 1, columns_ - 1); ++c) {
          still[size_t{1} * r * columns_ + c] = 0;
        }
      }
    }
  }
  return still;
}

}  // namespace svi::drift
