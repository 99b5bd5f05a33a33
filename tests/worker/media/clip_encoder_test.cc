#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

ClipEncoderOptions Small() { return {.width = 96, .height = 64}; }

TEST(ClipEncoderTest, ExactFramesRateAndTags) {
  const auto video = DecodeVideo(MakeClip(Small(), 0, 81));
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->frames.size(), 81u);
  EXPECT_DOUBLE_EQ(video->fps, 24);
  EXPECT_EQ(video->codec, "h264");
  EXPECT_EQ(video->pixel_format, "yuv420p");
  EXPECT_EQ(video->color_primaries, "bt709");
  EXPECT_EQ(video->color_transfer, "bt709");
  EXPECT_EQ(video->color_space, "bt709");
  EXPECT_EQ(video->color_range, "tv");
  for (int i = 0; i < 81; ++i) EXPECT_GT(Psnr(video->frames[i], MovingPicture(96, 64, i)), 36) << i;
}

TEST(ClipEncoderTest, OneFrameAndOtherRates) {
  for (int fps : {1, 16, 30, 120}) {
    ClipEncoderOptions options = Small();
    options.fps = fps;
    const auto video = DecodeVideo(MakeClip(options, 0, 5));
    ASSERT_TRUE(video.ok()) << video.status();
    EXPECT_EQ(video->frames.size(), 5u);
    EXPECT_NEAR(video->fps, fps, 1e-6);
  }
  EXPECT_EQ(DecodeVideo(MakeClip(Small(), 0, 1))->frames.size(), 1u);
}

// A wrong matrix or range shifts flat colours by far more than the codec does.
TEST(ClipEncoderTest, FlatColoursComeBack) {
  const uint8_t colours[][3] = {{255, 0, 0},     {0, 255, 0}, {0, 0, 255},
                                {255, 255, 255}, {0, 0, 0},   {128, 128, 128}};
  for (const auto& colour : colours) {
    engine::Picture picture{.width = 64, .height = 64, .rgb = {}};
    for (int i = 0; i < 64 * 64; ++i) picture.rgb.insert(picture.rgb.end(), colour, colour + 3);
    auto encoder = ClipEncoder::Open({.width = 64, .height = 64});
    ASSERT_TRUE(encoder.ok());
    ASSERT_TRUE((*encoder)->Add(picture).ok());
    const auto video = DecodeVideo(*(*encoder)->Finish());
    ASSERT_TRUE(video.ok());
    EXPECT_LE(MaxDifference(video->frames.at(0), picture), 4)
        << int{colour[0]} << "," << int{colour[1]} << "," << int{colour[2]};
  }
}

TEST(ClipEncoderTest, SameFramesGiveTheSameBytes) {
  const std::string clip = MakeClip(Small(), 3, 30);
  EXPECT_EQ(clip, MakeClip(Small(), 3, 30));
  EXPECT_NE(clip, MakeClip(Small(), 4, 30));
}

TEST(ClipEncoderTest, IsFragmented) {
  const std::string clip = MakeClip(Small(), 0, 60);
  EXPECT_EQ(clip.substr(4, 4), "ftyp");
  EXPECT_LT(clip.find("moov"), clip.find("moof"));
  // 60 frames at 24 a second: two fragments, a key frame each.
  const size_t first = clip.find("moof");
  const size_t second = clip.find("moof", first + 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_EQ(clip.find("moof", second + 1), std::string::npos);
}

TEST(ClipEncoderTest, RefusesWhatCannotBeEncoded) {
  for (const ClipEncoderOptions& options :
       {ClipEncoderOptions{.width = 63, .height = 64}, ClipEncoderOptions{.width = 64, .height = 0},
        ClipEncoderOptions{.width = 64, .height = -2},
        ClipEncoderOptions{.width = 64, .height = 64, .fps = 0}}) {
    EXPECT_EQ(ClipEncoder::Open(options).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ClipEncoderTest, RefusesFramesOfAnotherSizeAndUseAfterTheEnd) {
  auto encoder = ClipEncoder::Open(Small());
  ASSERT_TRUE(encoder.ok());
  EXPECT_EQ((*encoder)->Add(MovingPicture(64, 96, 0)).code(), absl::StatusCode::kInvalidArgument);
  engine::Picture short_picture = MovingPicture(96, 64, 0);
  short_picture.rgb.pop_back();
  EXPECT_EQ((*encoder)->Add(short_picture).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE((*encoder)->Add(MovingPicture(96, 64, 0)).ok());
  EXPECT_TRUE((*encoder)->Finish().ok());
  EXPECT_EQ((*encoder)->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*encoder)->Add(MovingPicture(96, 64, 0)).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClipEncoderTest, NoFramesIsAnErrorAndAbandoningIsNot) {
  auto encoder = ClipEncoder::Open(Small());
  EXPECT_EQ((*encoder)->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  auto abandoned = ClipEncoder::Open(Small());
  EXPECT_TRUE((*abandoned)->Add(MovingPicture(96, 64, 0)).ok());
}

TEST(DecodeVideoTest, NotAVideo) {
  EXPECT_FALSE(DecodeVideo("").ok());
  EXPECT_FALSE(DecodeVideo("no video at all").ok());
  const std::string clip = MakeClip(Small(), 0, 10);
  EXPECT_FALSE(DecodeVideo(clip.substr(0, 200)).ok());
}

}  // namespace
}  // namespace svi::media
