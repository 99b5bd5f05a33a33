#include "tests/e2e/training_videos.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/media/media.h"

namespace svi::e2e {
namespace {

constexpr int kSize = 64;
constexpr int kFrames = 33;

engine::Picture Frame(int video, int frame) {
  engine::Picture picture{kSize, kSize, std::vector<uint8_t>(kSize * kSize * 3)};
  const int left = (10 * video + (video % 2 == 0 ? frame : kSize - frame)) % kSize;
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      uint8_t* pixel = &picture.rgb[static_cast<size_t>(y * kSize + x) * 3];
      const bool inside = y >= 20 && y < 44 && (x - left + kSize) % kSize < 20;
      pixel[0] = inside ? 240 : static_cast<uint8_t>(3 * y);
      pixel[1] = inside ? static_cast<uint8_t>(50 * (video % 5)) : 90;
      pixel[2] = static_cast<uint8_t>(2 * x);
    }
  }
  return picture;
}

}  // namespace

void WriteTrainingVideos(const std::filesystem::path& dir, int count) {
  const std::filesystem::path folder = dir / "squares";
  std::filesystem::create_directories(folder);
  std::ofstream list(folder / "squares.csv");
  list << "Filename,Video Description\n";
  for (int video = 0; video < count; ++video) {
    auto encoder = media::ClipEncoder::Open({kSize, kSize, 24, 12});
    ASSERT_TRUE(encoder.ok()) << encoder.status();
    for (int frame = 0; frame < kFrames; ++frame) ASSERT_TRUE((*encoder)->Add(Frame(video, frame)).ok());
    const auto mp4 = (*encoder)->Finish();
    ASSERT_TRUE(mp4.ok()) << mp4.status();
    const std::string name = absl::StrCat("video-", video, ".mp4");
    std::ofstream(folder / name, std::ios::binary) << *mp4;
    list << name << ",a square moves to the " << (video % 2 == 0 ? "right" : "left") << "\n";
  }
}

}  // namespace svi::e2e
