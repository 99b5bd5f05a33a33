#include <gtest/gtest.h>

#include "tests/worker/media/media_test_util.h"

namespace svi::media {
namespace {

engine::Picture Covered(const engine::Picture& picture, int width, int height) {
  absl::StatusOr<engine::Picture> covered = CoverPicture(picture, width, height);
  EXPECT_TRUE(covered.ok()) << covered.status();
  return covered.ok() ? *std::move(covered) : engine::Picture{};
}

TEST(CoverPicture, OfItsOwnSizeIsThePictureItself) {
  const engine::Picture picture = Ppm("rgb");
  EXPECT_EQ(Covered(picture, picture.width, picture.height).rgb, picture.rgb);
}

TEST(CoverPicture, OfItsOwnHeightIsItsMiddle) {
  const engine::Picture picture = Ppm("rgb");
  const engine::Picture middle = Covered(picture, 20, picture.height);
  ASSERT_EQ(middle.width, 20);
  for (int y = 0; y < picture.height; ++y) {
    for (int i = 0; i < 3 * 20; ++i) {
      ASSERT_EQ(middle.rgb[3 * 20 * y + i], picture.rgb[3 * (picture.width * y + 14) + i]) << y << " " << i;
    }
  }
}

// Pillow's Lanczos is what the engine scales with as well.
TEST(CoverPicture, ScalesAsPillowDoes) {
  EXPECT_LE(MaxDifference(Covered(Ppm("rgb"), 20, 20), Ppm("cover_20x20")), 2);
  EXPECT_LE(MaxDifference(Covered(Ppm("rgb"), 72, 24), Ppm("cover_72x24")), 2);
  EXPECT_GT(Psnr(Covered(Ppm("rgb"), 20, 20), Ppm("cover_20x20")), 48);
}

TEST(CoverPicture, RefusesWhatIsNoPicture) {
  engine::Picture cut = Ppm("rgb");
  cut.rgb.pop_back();
  EXPECT_EQ(CoverPicture(cut, 8, 8).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CoverPicture(Ppm("rgb"), 0, 8).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(EncodePng, IsLossless) {
  const engine::Picture picture = Ppm("rgb");
  const absl::StatusOr<std::string> png = EncodePng(picture);
  ASSERT_TRUE(png.ok()) << png.status();
  const absl::StatusOr<engine::Picture> back = DecodePicture(*png);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->width, picture.width);
  EXPECT_EQ(back->rgb, picture.rgb);
  EXPECT_EQ(EncodePng({.width = 3, .height = 3, .rgb = {1}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace svi::media
