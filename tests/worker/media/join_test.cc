#include "worker/media/join.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

using ::testing::HasSubstr;

class JoinTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "/join_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void AddClip(const ClipEncoderOptions& options, int start, int count) {
    AddBytes(MakeClip(options, start, count));
  }
  void AddBytes(const std::string& bytes) {
    paths_.push_back(dir_ + "/clip" + std::to_string(paths_.size()) + ".mp4");
    WriteFile(paths_.back(), bytes);
  }
  std::string Output(const std::string& name = "out.mp4") { return dir_ + "/" + name; }

  std::string dir_;
  std::vector<std::string> paths_;
};

TEST_F(JoinTest, FramesRunOnInOrder) {
  AddClip({.width = 64, .height = 48}, 0, 17);
  AddClip({.width = 64, .height = 48}, 17, 12);
  AddClip({.width = 64, .height = 48}, 29, 55);
  ASSERT_EQ(JoinClips(paths_, Output()), absl::OkStatus());
  const std::string joined = ReadFile(Output());
  EXPECT_EQ(joined.find("moof"), std::string::npos);
  EXPECT_LT(joined.find("moov"), joined.find("mdat"));
  const auto video = DecodeVideo(joined);
  ASSERT_TRUE(video.ok()) << video.status();
  ASSERT_EQ(video->frames.size(), 84u);
  EXPECT_NEAR(video->fps, 24, 1e-9);  // a gap or an overlap would change the mean rate
  EXPECT_EQ(video->color_space, "bt709");
  for (int i = 0; i < 84; ++i) EXPECT_GT(Psnr(video->frames[i], MovingPicture(64, 48, i)), 34) << i;
}

TEST_F(JoinTest, NothingIsReencoded) {
  AddClip({.width = 64, .height = 48}, 0, 9);
  AddClip({.width = 64, .height = 48}, 9, 9);
  ASSERT_EQ(JoinClips(paths_, Output()), absl::OkStatus());
  const auto joined = DecodeVideo(ReadFile(Output()));
  ASSERT_TRUE(joined.ok());
  for (int clip = 0; clip < 2; ++clip) {
    const auto alone = DecodeVideo(ReadFile(paths_[clip]));
    ASSERT_TRUE(alone.ok());
    for (int i = 0; i < 9; ++i) EXPECT_EQ(MaxDifference(joined->frames[9 * clip + i], alone->frames[i]), 0);
  }
}

TEST_F(JoinTest, SameClipsGiveTheSameBytes) {
  AddClip({.width = 64, .height = 48}, 0, 9);
  AddClip({.width = 64, .height = 48}, 9, 9);
  ASSERT_EQ(JoinClips(paths_, Output("a.mp4")), absl::OkStatus());
  ASSERT_EQ(JoinClips(paths_, Output("b.mp4")), absl::OkStatus());
  EXPECT_EQ(ReadFile(Output("a.mp4")), ReadFile(Output("b.mp4")));
}

// Clips of one video may come from workers with different encoders, that is, with different parameter sets.
TEST_F(JoinTest, ClipsOfDifferentEncodersDecode) {
  AddClip({.width = 64, .height = 48, .fps = 24, .crf = 17}, 0, 9);
  AddClip({.width = 64, .height = 48, .fps = 24, .crf = 5}, 9, 9);
  AddClip({.width = 64, .height = 48, .fps = 24, .crf = 12}, 18, 9);
  ASSERT_EQ(JoinClips(paths_, Output()), absl::OkStatus());
  const auto video = DecodeVideo(ReadFile(Output()));
  ASSERT_TRUE(video.ok()) << video.status();
  ASSERT_EQ(video->frames.size(), 27u);
  EXPECT_NEAR(video->fps, 24, 1e-9);
  for (int i = 0; i < 27; ++i) EXPECT_GT(Psnr(video->frames[i], MovingPicture(64, 48, i)), 34) << i;
}

TEST_F(JoinTest, OddRates) {
  for (int i = 0; i < 3; ++i) AddClip({.width = 64, .height = 48, .fps = 7}, 10 * i, 10);
  ASSERT_EQ(JoinClips(paths_, Output()), absl::OkStatus());
  const auto video = DecodeVideo(ReadFile(Output()));
  ASSERT_TRUE(video.ok());
  EXPECT_EQ(video->frames.size(), 30u);
  EXPECT_NEAR(video->fps, 7, 1e-6);
}

TEST_F(JoinTest, ClipsThatDoNotFitAreNamed) {
  AddClip({.width = 64, .height = 48}, 0, 5);
  AddClip({.width = 48, .height = 64}, 0, 5);
  const absl::Status size = JoinClips(paths_, Output());
  EXPECT_EQ(size.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(size.message()), HasSubstr("clip 1"));
  EXPECT_FALSE(std::filesystem::exists(Output()));
  paths_.pop_back();
  AddClip({.width = 64, .height = 48, .fps = 30}, 0, 5);
  EXPECT_EQ(JoinClips(paths_, Output()).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JoinTest, BadInput) {
  EXPECT_EQ(JoinClips({}, Output()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(JoinClips({dir_ + "/none.mp4"}, Output()).code(), absl::StatusCode::kNotFound);
  AddBytes("this is no MP4");
  const absl::Status status = JoinClips(paths_, Output());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()).find(dir_), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(Output()));
}

}  // namespace
}  // namespace svi::media
