// Videos that need no files: a square wanders over a gradient.
#ifndef SVI_TESTS_WORKER_ENGINE_TRAIN_MOVING_SQUARES_H_
#define SVI_TESTS_WORKER_ENGINE_TRAIN_MOVING_SQUARES_H_

#include <string>
#include <vector>

#include "engine/video_source.h"

namespace svi::engine {

class MovingSquares : public VideoSource {
 public:
  explicit MovingSquares(size_t videos, int64_t frames = 33, int size = 64) : frames_(frames), size_(size) {
    for (size_t i = 0; i < videos; ++i) {
      const std::string name = "square " + std::to_string(i);
      items_.push_back(
          {name, i % 2 == 0 ? "a square moves to the left" : "a square moves to the right", name});
    }
  }

  const std::vector<Item>& items() const override { return items_; }
  const std::vector<Skipped>& skipped() const override { return skipped_; }
  absl::StatusOr<Info> Probe(size_t) override { return Info{frames_, size_, size_, 24}; }

  absl::Status ReadFrames(size_t item, const std::vector<int64_t>& numbers,
                          const std::function<absl::Status(const Picture&)>& frame) override {
    for (const int64_t number : numbers) {
      if (number >= frames_) return absl::InvalidArgumentError("the video ends too early");
      if (absl::Status status = frame(Draw(item, number)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  Picture Draw(size_t item, int64_t number) const {
    Picture picture{size_, size_, std::vector<uint8_t>(static_cast<size_t>(size_) * size_ * 3)};
    const int64_t direction = item % 2 == 0 ? -1 : 1;
    const int64_t left = (static_cast<int64_t>(item) * 7 + direction * number + 10 * size_) % size_;
    for (int y = 0; y < size_; ++y) {
      for (int x = 0; x < size_; ++x) {
        uint8_t* pixel = &picture.rgb[static_cast<size_t>(y * size_ + x) * 3];
        const bool inside = y >= 20 && y < 40 && (x - left + size_) % size_ < 16;
        pixel[0] = inside ? 250 : static_cast<uint8_t>(y * 3);
        pixel[1] = inside ? static_cast<uint8_t>(40 * (item % 5)) : static_cast<uint8_t>(x * 2);
        pixel[2] = static_cast<uint8_t>(60 + 20 * (item % 6));
      }
    }
    return picture;
  }

  const int64_t frames_;
  const int size_;
  std::vector<Item> items_;
  std::vector<Skipped> skipped_;
};

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_TRAIN_MOVING_SQUARES_H_
