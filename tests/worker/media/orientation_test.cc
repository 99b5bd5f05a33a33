#include "worker/media/orientation.h"

#include <string>

#include "gtest/gtest.h"

namespace svi::media {
namespace {

// A TIFF block with one directory entry.
std::string Tiff(bool big, int tag, int type, int value) {
  const auto u16 = [&](int v) {
    const char high = static_cast<char>(v >> 8), low = static_cast<char>(v & 255);
    return big ? std::string{high, low} : std::string{low, high};
  };
  const auto u32 = [&](int v) {
    return big ? u16(v >> 16) + u16(v & 0xFFFF) : u16(v & 0xFFFF) + u16(v >> 16);
  };
  return (big ? "MM" : "II") + u16(42) + u32(8) + u16(1) + u16(tag) + u16(type) + u32(1) + u16(value) +
         u16(0) + u32(0);
}

TEST(ExifOrientationTest, BothByteOrders) {
  for (int value = 1; value <= 8; ++value) {
    EXPECT_EQ(ExifOrientation(Tiff(true, 0x0112, 3, value)), value);
    EXPECT_EQ(ExifOrientation(Tiff(false, 0x0112, 3, value)), value);
    EXPECT_EQ(ExifOrientation(std::string("Exif\0\0", 6) + Tiff(false, 0x0112, 3, value)), value);
  }
}

TEST(ExifOrientationTest, NonsenseMeansUpright) {
  EXPECT_EQ(ExifOrientation(""), 1);
  EXPECT_EQ(ExifOrientation("XX*\0aaaaaaaaaaaa"), 1);
  EXPECT_EQ(ExifOrientation(Tiff(true, 0x0112, 3, 9)), 1);
  EXPECT_EQ(ExifOrientation(Tiff(true, 0x0112, 3, 0)), 1);
  EXPECT_EQ(ExifOrientation(Tiff(true, 0x0112, 4, 6)), 1);
  EXPECT_EQ(ExifOrientation(Tiff(true, 0x0110, 3, 6)), 1);
}

TEST(ExifOrientationTest, EveryTruncationIsSafe) {
  const std::string tiff = Tiff(false, 0x0112, 3, 6);
  for (size_t size = 0; size < 22; ++size) EXPECT_EQ(ExifOrientation(std::string(tiff, 0, size)), 1) << size;
}

TEST(ExifOrientationTest, OffsetFarOutside) {
  std::string tiff = Tiff(false, 0x0112, 3, 6);
  tiff[4] = tiff[5] = tiff[6] = tiff[7] = '\xFF';
  EXPECT_EQ(ExifOrientation(tiff), 1);
}

// 2×1 pixels: left red, right blue.
engine::Picture RedBlue() { return {.width = 2, .height = 1, .rgb = {255, 0, 0, 0, 0, 255}}; }

TEST(UprightTest, RotatesByHand) {
  const engine::Picture clockwise = Upright(RedBlue(), 6);  // red goes on top
  EXPECT_EQ(clockwise.width, 1);
  EXPECT_EQ(clockwise.height, 2);
  EXPECT_EQ(clockwise.rgb, RedBlue().rgb);
  const engine::Picture counter = Upright(RedBlue(), 8);  // blue goes on top
  EXPECT_EQ(counter.rgb, (std::vector<uint8_t>{0, 0, 255, 255, 0, 0}));
  EXPECT_EQ(Upright(RedBlue(), 1).rgb, RedBlue().rgb);
}

}  // namespace
}  // namespace svi::media
