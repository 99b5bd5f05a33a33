// Which way a clip's moving object goes.
#ifndef SVI_WORKER_DRIFT_DIRECTION_H_
#define SVI_WORKER_DRIFT_DIRECTION_H_

#include <string_view>
#include <vector>

#include "engine/types.h"

namespace svi::drift {

enum class Direction { kStill, kLeft, kRight, kUp, kDown };

// "still", "left", "right", "up", "down".
[[nodiscard]] std::string_view DirectionName(Direction direction);

struct DominantMotion {
  Direction direction = Direction::kStill;
  // 0..1. Of a direction: the share of the frames' differences that one shift explains, times how much more
  // it goes along one axis than along the other. Of kStill: 1 minus that share.
  double confidence = 1;
  // The shift, pixels a frame; positive to the right and down.
  double x = 0;
  double y = 0;
};

// The one shift that explains best what changes between neighbouring frames, by least squares over the pixels
// that change (Lucas and Kanade 1981, red, green and blue together). Made for something that moves before a
// background that does not; edges of both signs count, so an object that leaves on one side and comes back at
// the other does no harm. Frames are blurred, and averaged down until the shorter side is less than 256:
// shifts up to about a 40th of it are told well.
class DirectionMeter {
 public:
  void Add(const engine::Picture& frame);  // all of one size
  [[nodiscard]] DominantMotion motion() const;

 private:
  // Red, green and blue: [3, height, width], levels.
  struct Planes {
    int width = 0, height = 0;
    std::vector<float> values;
  };
  [[nodiscard]] static Planes Reduce(const engine::Picture& frame, int factor);
  static void Blur(Planes& planes);

  int factor_ = 0;  // that frames are averaged down by; 0 until the first
  Planes last_;
  int pairs_ = 0;
  // Sums over the pixels that change, of gradients and differences: x·x, x·y, y·y, x·t, y·t, t·t.
  double xx_ = 0, xy_ = 0, yy_ = 0, xt_ = 0, yt_ = 0, tt_ = 0;
};

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_DIRECTION_H_
