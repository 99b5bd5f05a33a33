#include "tests/worker/media/media_test_util.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "gtest/gtest.h"

namespace svi::media {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  EXPECT_TRUE(out.flush().good()) << path;
}

std::string Fixture(const std::string& name) {
  return ReadFile(SVI_SOURCE_DIR "/tests/golden/media/" + name);
}

engine::Picture Ppm(const std::string& name) {
  const std::string bytes = Fixture(name + ".ppm");
  std::istringstream in(bytes);
  std::string magic;
  int maximum = 0;
  engine::Picture picture;
  in >> magic >> picture.width >> picture.height >> maximum;
  EXPECT_EQ(magic, "P6");
  const size_t size = size_t{3} * picture.width * picture.height;
  picture.rgb.assign(bytes.end() - size, bytes.end());
  return picture;
}

engine::Picture MovingPicture(int width, int height, int time) {
  engine::Picture picture{.width = width, .height = height, .rgb = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<uint8_t>(127.5 + 110 * std::sin((x + 2 * time) * 0.07)));
      picture.rgb.push_back(static_cast<uint8_t>(127.5 + 110 * std::sin((y - time) * 0.09)));
      picture.rgb.push_back(static_cast<uint8_t>(127.5 + 110 * std::sin((x + y + 3 * time) * 0.05)));
    }
  }
  return picture;
}

std::string MakeClip(const ClipEncoderOptions& options, int start, int count) {
  auto encoder = ClipEncoder::Open(options);
  if (!encoder.ok()) {
    ADD_FAILURE() << encoder.status();
    return "";
  }
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE((*encoder)->Add(MovingPicture(options.width, options.height, start + i)).ok());
  }
  auto mp4 = (*encoder)->Finish();
  EXPECT_TRUE(mp4.ok()) << mp4.status();
  return mp4.value_or("");
}

double Psnr(const engine::Picture& a, const engine::Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 0;
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::pow(double{1} * a.rgb[i] - b.rgb[i], 2);
  if (sum == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 * a.rgb.size() / sum);
}

int MaxDifference(const engine::Picture& a, const engine::Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 256;
  int most = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) most = std::max(most, std::abs(a.rgb[i] - b.rgb[i]));
  return most;
}

}  // namespace svi::media
