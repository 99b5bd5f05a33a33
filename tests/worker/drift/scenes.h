// Pictures and moving scenes for the drift tests.
#ifndef SVI_TESTS_WORKER_DRIFT_SCENES_H_
#define SVI_TESTS_WORKER_DRIFT_SCENES_H_

#include <array>
#include <cstdint>
#include <vector>

#include "engine/types.h"

namespace svi::drift {

// Bytes that look random and are the same everywhere; make_fixtures.py has the same generator.
class Noise {
 public:
  explicit Noise(uint32_t seed) : state_(seed) {}
  uint8_t Next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<uint8_t>(state_ >> 24);
  }

 private:
  uint32_t state_;
};

engine::Picture Plain(int width, int height, std::array<uint8_t, 3> colour);

// What moves, and how.
struct MovingScene {
  int side = 128;  // of the square frame, pixels
  int frames = 17;
  double object = 26;     // its side, pixels
  double x = 40, y = 50;  // its left top corner in frame 0
  double dx = 0, dy = 0;  // pixels a frame; what leaves on one side comes in on the other
  std::array<uint8_t, 3> colour = {18, 168, 62};  // in luma hardly another than the background's
  int blur = 0;                                   // radius of a box blur over the finished frames
  int grain = 0;                                  // levels of noise, new in each frame
  double fade = 0;                                // levels that the whole frame gains a frame
};
// The background is a slope with a texture on it.
std::vector<engine::Picture> Render(const MovingScene& scene);

}  // namespace svi::drift

#endif  // SVI_TESTS_WORKER_DRIFT_SCENES_H_
