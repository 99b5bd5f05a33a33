#include "tests/worker/media/media_test_util.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
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

std::string JpegOfScans(int side, int scans) {
  const auto bytes = [](std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return text;
  };
  std::string jpeg =
      bytes({0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0}) + std::string(64, '\1');  // a quantiser of ones
  // Progressive, 8 bits, one component; then a Huffman table in which the bit 0 is "no difference".
  jpeg += bytes({0xFF, 0xC2, 0, 11, 8, side >> 8, side & 255, side >> 8, side & 255, 1, 1, 0x11, 0});
  jpeg += bytes({0xFF, 0xC4, 0, 20, 0, 1}) + std::string(15, '\0') + bytes({0});
  const size_t blocks = size_t{1} * (side / 8) * (side / 8);
  for (int i = 0; i < scans; ++i) {
    jpeg += bytes({0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0}) + std::string((blocks + 7) / 8, '\0');
  }
  return jpeg + bytes({0xFF, 0xD9});
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
