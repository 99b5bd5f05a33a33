#include "worker/drift/direction.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace svi::drift {
namespace {

constexpr int kMaxShorterSide = 256;
// A pixel changes if its colour moves by this much in all, in levels of 255 after the blur: more than a VAE
// makes still pixels tremble.
constexpr double kChange = 4;
// Slower than this is standing still, pixels a frame.
constexpr double kSlowest = 0.15;
// A shift that explains less than this share of the differences is none.
constexpr double kLeastExplained = 0.1;

}  // namespace

std::string_view DirectionName(Direction direction) {
  switch (direction) {
    case Direction::kLeft:
      return "left";
    case Direction::kRight:
      return "right";
    case Direction::kUp:
      return "up";
    case Direction::kDown:
      return "down";
    case Direction::kStill:
      break;
  }
  return "still";
}

DirectionMeter::Planes DirectionMeter::Reduce(const engine::Picture& frame, int factor) {
  Planes planes{.width = frame.width / factor, .height = frame.height / factor, .values = {}};
  const size_t pixels = size_t{1} * planes.width * planes.height;
  planes.values.resize(3 * pixels);
  for (int y = 0; y < planes.height * factor; ++y) {
    const uint8_t* rgb = &frame.rgb[size_t{3} * y * frame.width];
    for (int x = 0; x < planes.width * factor; ++x, rgb += 3) {
      float* to = &planes.values[size_t{1} * (y / factor) * planes.width + x / factor];
      for (int c = 0; c < 3; ++c) to[c * pixels] += rgb[c];
    }
  }
  for (float& value : planes.values) value /= static_cast<float>(factor * factor);
  return planes;
}

// Binomial, [1 4 6 4 1] / 16 along both axes, twice: sigma 1.4, which lets edges overlap from frame to frame.
void DirectionMeter::Blur(Planes& planes) {
  const int width = planes.width, height = planes.height;
  const auto along = [&](int length, int lines, int step, int line_step) {
    std::vector<float> line(length);
    const auto at = [&](int i) { return line[std::clamp(i, 0, length - 1)]; };
    for (int c = 0; c < 3; ++c) {
      for (int l = 0; l < lines; ++l) {
        float* to = &planes.values[(size_t{1} * c * height * width) + size_t{1} * l * line_step];
        for (int i = 0; i < length; ++i) line[i] = to[size_t{1} * i * step];
        for (int i = 0; i < length; ++i) {
          to[size_t{1} * i * step] = (6 * at(i) + 4 * (at(i - 1) + at(i + 1)) + at(i - 2) + at(i + 2)) / 16;
        }
      }
    }
  };
  for (int pass = 0; pass < 2; ++pass) {
    along(width, height, 1, width);
    along(height, width, width, 1);
  }
}

void DirectionMeter::Add(const engine::Picture& frame) {
  if (factor_ == 0) factor_ = std::min(frame.width, frame.height) / kMaxShorterSide + 1;
  Planes next = Reduce(frame, factor_);
  Blur(next);
  const Planes last = std::exchange(last_, next);
  if (last.values.empty()) return;
  ++pairs_;
  const int width = next.width, height = next.height;
  const size_t pixels = size_t{1} * width * height;
  for (int y = 1; y + 1 < height; ++y) {
    for (int x = 1; x + 1 < width; ++x) {
      const size_t at = size_t{1} * y * width + x;
      double change = 0;
      for (size_t i = at; i < 3 * pixels; i += pixels) {
        const double t = next.values[i] - last.values[i];
        change += t * t;
      }
      if (change < kChange * kChange) continue;
      tt_ += change;
      for (size_t i = at; i < 3 * pixels; i += pixels) {
        // Of both frames: as if half-way between them.
        const auto slope = [&](size_t step) {
          return 0.25 * (next.values[i + step] - next.values[i - step] + last.values[i + step] -
                         last.values[i - step]);
        };
        const double dx = slope(1), dy = slope(width), t = next.values[i] - last.values[i];
        xx_ += dx * dx;
        xy_ += dx * dy;
        yy_ += dy * dy;
        xt_ += dx * t;
        yt_ += dy * t;
      }
    }
  }
}

// Brightness stays with what moves: dx·x + dy·y + t = 0, in the least-squares sense.
DominantMotion DirectionMeter::motion() const {
  DominantMotion motion;
  const double determinant = xx_ * yy_ - xy_ * xy_;
  if (pairs_ == 0 || tt_ == 0 || determinant <= 1e-6 * xx_ * yy_) return motion;
  const double x = -(yy_ * xt_ - xy_ * yt_) / determinant;
  const double y = -(xx_ * yt_ - xy_ * xt_) / determinant;
  const double explained = std::clamp(-(x * xt_ + y * yt_) / tt_, 0.0, 1.0);
  motion.x = x * factor_;
  motion.y = y * factor_;
  const double along_x = std::abs(x), along_y = std::abs(y);
  if (std::max(along_x, along_y) < kSlowest || explained < kLeastExplained) {
    motion.confidence = 1 - explained;
    return motion;
  }
  motion.confidence = explained * std::abs(along_x - along_y) / (along_x + along_y);
  if (along_x >= along_y) {
    motion.direction = x < 0 ? Direction::kLeft : Direction::kRight;
  } else {
    motion.direction = y < 0 ? Direction::kUp : Direction::kDown;
  }
  return motion;
}

}  // namespace svi::drift
