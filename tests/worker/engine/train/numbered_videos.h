// Videos made as they are read, in which every frame is another one; they know what was read.
#ifndef SVI_TESTS_WORKER_ENGINE_TRAIN_NUMBERED_VIDEOS_H_
#define SVI_TESTS_WORKER_ENGINE_TRAIN_NUMBERED_VIDEOS_H_

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "engine/video_source.h"

namespace svi::engine {

class NumberedVideos : public VideoSource {
 public:
  NumberedVideos(int width, int height) : width_(width), height_(height) {}

  void Add(std::string name, std::string prompt, int64_t frames) {
    items_.push_back({std::move(name), std::move(prompt), "1"});
    frames_.push_back(frames);
  }
  std::vector<Item>& mutable_items() { return items_; }
  const std::vector<std::vector<int64_t>>& reads() const { return reads_; }

  static Picture Frame(int width, int height, int64_t number) {
    Picture picture{width, height, {}};
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const double wave =
              std::sin(0.11 * x + 0.07 * (c + 1) * y + 0.35 * static_cast<double>(number) + c);
          picture.rgb.push_back(static_cast<uint8_t>(127.5 + 120 * wave));
        }
      }
    }
    return picture;
  }

  const std::vector<Item>& items() const override { return items_; }
  const std::vector<Skipped>& skipped() const override { return skipped_; }
  absl::StatusOr<Info> Probe(size_t item) override { return Info{frames_.at(item), width_, height_, 24}; }
  absl::Status ReadFrames(size_t item, const std::vector<int64_t>& numbers,
                          const std::function<absl::Status(const Picture&)>& frame) override {
    reads_.push_back(numbers);
    for (const int64_t number : numbers) {
      if (number < 0 || number >= frames_.at(item)) return absl::InvalidArgumentError("no such frame");
      if (absl::Status status = frame(Frame(width_, height_, number)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  const int width_, height_;
  std::vector<Item> items_;
  std::vector<Skipped> skipped_;
  std::vector<int64_t> frames_;
  std::vector<std::vector<int64_t>> reads_;
};

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_TRAIN_NUMBERED_VIDEOS_H_
