// Which parts of a clip do not move.
#ifndef SVI_WORKER_DRIFT_STILL_CELLS_H_
#define SVI_WORKER_DRIFT_STILL_CELLS_H_

#include <cstdint>
#include <vector>

#include "engine/types.h"

namespace svi::drift {

// The frame in cells of 8 x 8 pixels (those at the right and at the bottom may be smaller). A cell moves if
// the mean of one of its channels varies by more than 12 of 255 levels over the clip: what a VAE and its
// noise do to a still wall is less, what passes is more. A cell is still if neither it nor one of its
// neighbours moves.
class StillCells {
 public:
  static constexpr int kSide = 8;
  static constexpr double kMovingRange = 12;  // levels of 255

  StillCells(int width, int height);

  void Add(const engine::Picture& frame);  // of that size

  [[nodiscard]] int columns() const { return columns_; }
  [[nodiscard]] int rows() const { return rows_; }
  // Row by row, columns() x rows(): 1 if the cell is still.
  [[nodiscard]] std::vector<uint8_t> Still() const;

 private:
  [[nodiscard]] std::vector<uint8_t> Moving() const;

  int width_, height_, columns_, rows_;
  // Sums over a cell, [rows, columns, 3]: of the newest frame, and the least and greatest of all frames.
  std::vector<int32_t> sum_, least_, greatest_;
};

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_STILL_CELLS_H_
