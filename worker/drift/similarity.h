// How alike two pictures are, on some of their cells.
#ifndef SVI_WORKER_DRIFT_SIMILARITY_H_
#define SVI_WORKER_DRIFT_SIMILARITY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/types.h"
#include "worker/drift/measures.h"

namespace svi::drift {

// Structural similarity of two lumas, [height, width] in levels 0..255, after Wang, Bovik, Sheikh and
// Simoncelli (2004): Gaussian window of 11 x 11, sigma 1.5, K1 0.01, K2 0.03. Returns its map where the
// window fits, [height - 10, width - 10]: entry (0, 0) belongs to pixel (5, 5). Empty if a side is below 11.
[[nodiscard]] std::vector<double> SsimMap(const std::vector<double>& a, const std::vector<double>& b,
                                          int width, int height);

// `still`: as StillCells::Still for that size. Both pictures are of one size.
[[nodiscard]] StillSimilarity CompareStill(const engine::Picture& frame, const engine::Picture& reference,
                                           const std::vector<uint8_t>& still);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_SIMILARITY_H_
