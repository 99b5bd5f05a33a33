#include "tests/worker/drift/scenes.h"

#include <algorithm>
#include <cmath>

namespace svi::drift {
namespace {

uint8_t Level(double value) { return static_cast<uint8_t>(std::clamp(std::lround(value), 0l, 255l)); }

// How much of pixel [at, at + 1] the object covers along one axis, on a ring of `side` pixels.
double Covered(int at, double start, double length, int side) {
  double covered = 0;
  for (const int turn : {-1, 0, 1}) {
    const double left = start + turn * side;
    covered += std::max(0.0, std::min(at + 1.0, left + length) - std::max<double>(at, left));
  }
  return covered;
}

engine::Picture BoxBlur(const engine::Picture& from, int radius) {
  engine::Picture to = from;
  for (int y = 0; y < from.height; ++y) {
    for (int x = 0; x < from.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        int sum = 0, count = 0;
        for (int v = std::max(y - radius, 0); v <= std::min(y + radius, from.height - 1); ++v) {
          for (int u = std::max(x - radius, 0); u <= std::min(x + radius, from.width - 1); ++u) {
            sum += from.rgb[3 * (v * from.width + u) + c];
            ++count;
          }
        }
        to.rgb[3 * (y * from.width + x) + c] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return to;
}

}  // namespace

engine::Picture Plain(int width, int height, std::array<uint8_t, 3> colour) {
  engine::Picture picture{.width = width, .height = height, .rgb = {}};
  for (int i = 0; i < width * height; ++i) {
    picture.rgb.insert(picture.rgb.end(), colour.begin(), colour.end());
  }
  return picture;
}

std::vector<engine::Picture> Render(const MovingScene& scene) {
  std::vector<engine::Picture> frames;
  Noise grain(9);
  const auto on_ring = [&](double at) { return at - scene.side * std::floor(at / scene.side); };
  for (int i = 0; i < scene.frames; ++i) {
    engine::Picture frame{.width = scene.side, .height = scene.side, .rgb = {}};
    Noise texture(5);
    const double left = on_ring(scene.x + scene.dx * i), top = on_ring(scene.y + scene.dy * i);
    for (int y = 0; y < scene.side; ++y) {
      for (int x = 0; x < scene.side; ++x) {
        const double covered =
            Covered(x, left, scene.object, scene.side) * Covered(y, top, scene.object, scene.side);
        const double wall = 100 + 60.0 * y / scene.side + texture.Next() % 13 + scene.fade * i;
        for (int c = 0; c < 3; ++c) {
          double value = wall + 8 * c + covered * (scene.colour[c] - wall - 8 * c);
          if (scene.grain > 0) value += grain.Next() % (2 * scene.grain + 1) - scene.grain;
          frame.rgb.push_back(Level(value));
        }
      }
    }
    frames.push_back(scene.blur > 0 ? BoxBlur(frame, scene.blur) : frame);
  }
  return frames;
}

}  // namespace svi::drift
