// Measures a clip while its frames go by.
#ifndef SVI_WORKER_DRIFT_CLIP_METER_H_
#define SVI_WORKER_DRIFT_CLIP_METER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "engine/types.h"
#include "worker/drift/measures.h"
#include "worker/drift/still_cells.h"

namespace svi::drift {

// Holds a few frames' worth of memory, however long the clip.
class ClipMeter {
 public:
  // `reference`: the picture that the video starts from, cut to the size of the frames; an empty one: there
  // is nothing to compare with.
  explicit ClipMeter(engine::Picture reference) : reference_(std::move(reference)) {}

  // The next frame, in order. INVALID_ARGUMENT if its size is not the reference's or the first frame's.
  absl::Status Add(const engine::Picture& frame);

  [[nodiscard]] int frames() const { return frames_; }
  // Of the frames so far; at least one.
  [[nodiscard]] ClipMeasures measures() const;
  // Of the frames so far, the newest against the reference; costs more than a frame does. Without a reference
  // only `share` is set.
  [[nodiscard]] StillSimilarity still() const;

 private:
  void AddColours(const engine::Picture& frame);
  void AddSharpness();
  void AddMotion();

  const engine::Picture reference_;
  int frames_ = 0;
  engine::Picture last_;
  std::vector<int32_t> luma_, last_luma_;  // [height, width], luma.h's units
  std::optional<StillCells> cells_;

  // Sums over frames.
  double luma_mean_ = 0, luma_deviation_ = 0;  // luma.h's units
  double saturation_ = 0, sharpness_ = 0, motion_ = 0;
  std::array<uint64_t, size_t{3} * kHistogramBins> counts_{};
};

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_CLIP_METER_H_
