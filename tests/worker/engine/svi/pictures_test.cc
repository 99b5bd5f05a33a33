#include "worker/engine/svi/pictures.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace svi::engine {
namespace {

Picture Solid(int width, int height, std::vector<uint8_t> colour) {
  Picture picture{width, height, {}};
  for (int i = 0; i < width * height; ++i)
    picture.rgb.insert(picture.rgb.end(), colour.begin(), colour.end());
  return picture;
}

TEST(CoverPicture, KeepsAPictureOfTheRightSize) {
  Picture picture{2, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  const at::Tensor tensor = CoverPicture(picture, 2, 2);
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef({3, 2, 2}));
  EXPECT_EQ(tensor[0][1][0].item<int>(), 7);
  EXPECT_EQ(tensor[2][0][1].item<int>(), 6);
  EXPECT_EQ(ToPicture(tensor).rgb, picture.rgb);
}

TEST(CoverPicture, ScalesAndCutsOutTheCentre) {
  // Red, green and blue thirds: covering a square from a 3:1 picture keeps the green one.
  Picture picture{96, 32, {}};
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 96; ++x) {
      for (int c = 0; c < 3; ++c) picture.rgb.push_back(x / 32 == c ? 200 : 0);
    }
  }
  const at::Tensor cut = CoverPicture(picture, 64, 64);
  const at::Tensor middle = cut.narrow(2, 16, 32).to(at::kFloat);
  EXPECT_GT(middle[1].min().item<float>(), 195);
  EXPECT_LT(middle[0].max().item<float>(), 5);
  EXPECT_LT(middle[2].max().item<float>(), 5);
}

TEST(CoverPicture, KeepsASolidColourExactly) {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{500, 333}, {17, 90}, {1, 1}}) {
    const at::Tensor out = CoverPicture(Solid(width, height, {10, 128, 250}), 64, 96);
    EXPECT_EQ(out.sizes(), at::IntArrayRef({3, 96, 64}));
    EXPECT_TRUE((out[0] == 10).all().item<bool>());
    EXPECT_TRUE((out[1] == 128).all().item<bool>());
    EXPECT_TRUE((out[2] == 250).all().item<bool>());
  }
}

TEST(CoverPicture, RefusesBytesThatDoNotFit) {
  Picture picture{4, 4, std::vector<uint8_t>(47)};
  EXPECT_THROW(CoverPicture(picture, 32, 32), std::invalid_argument);
}

TEST(Frames, EveryLevelSurvivesTheWayToTheVaeAndBack) {
  const at::Tensor levels = at::arange(0, 256, at::kByte).reshape({1, 1, 16, 16}).expand({2, 3, 16, 16});
  const at::Tensor video = ToVideo(levels);
  EXPECT_EQ(video.sizes(), at::IntArrayRef({1, 3, 2, 16, 16}));
  EXPECT_EQ(video.min().item<float>(), -1.0f);
  EXPECT_EQ(video.max().item<float>(), 1.0f);
  EXPECT_TRUE(at::equal(ToFrames(video), levels));
}

}  // namespace
}  // namespace svi::engine
