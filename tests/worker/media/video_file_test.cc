#include "worker/media/video_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/media/encode_file.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class VideoFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "/video_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::string Written(const std::string& name, const std::string& bytes) const {
    WriteFile(Path(name), bytes);
    return Path(name);
  }

  // All frames, or the first error, of opening too.
  static absl::StatusOr<std::vector<engine::Picture>> ReadAll(const std::string& path) {
    const auto file = VideoFile::Open(path);
    if (!file.ok()) return file.status();
    std::vector<engine::Picture> frames;
    while (true) {
      auto next = (*file)->Next();
      if (!next.ok()) return next.status();
      if (!next->has_value()) return frames;
      frames.push_back(**std::move(next));
    }
  }

  // Refused, and the message does not tell where the file lies.
  void ExpectRefused(const std::string& path) const {
    const absl::Status status = ReadAll(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path << ": " << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(dir_)));
  }

  std::string dir_;
};

// Reordered frames (B-frames) and those that a decoder holds back at the end are what is easily lost.
TEST_F(VideoFileTest, ContainersAndCodecs) {
  const std::pair<const char*, FileOptions> kFiles[] = {{"a.mp4", {.codec = "libx264", .max_b_frames = 2}},
                                                        {"a.mov", {.codec = "mpeg4"}},
                                                        {"a.mkv", {.codec = "libx264", .max_b_frames = 3}},
                                                        {"a.webm", {.codec = "libvpx-vp9"}},
                                                        {"a.avi", {.codec = "mpeg4"}},
                                                        {"a.ts", {.codec = "mpeg2video", .max_b_frames = 2}}};
  for (const auto& [name, options] : kFiles) {
    SCOPED_TRACE(name);
    EncodeFile(Path(name), options);
    const auto frames = ReadAll(Path(name));
    ASSERT_TRUE(frames.ok()) << frames.status();
    ASSERT_EQ(frames->size(), 12u);
    // A frame of another number is below 20 dB.
    for (int i = 0; i < 12; ++i) EXPECT_GT(Psnr((*frames)[i], MovingPicture(96, 64, i)), 27) << i;
  }
}

TEST_F(VideoFileTest, GivesWhatDecodingTheWholeGives) {
  const std::string bytes = MakeClip({.width = 96, .height = 64}, 0, 20);
  const auto whole = DecodeVideo(bytes);
  const auto frames = ReadAll(Written("a.mp4", bytes));
  ASSERT_TRUE(frames.ok()) << frames.status();
  ASSERT_EQ(frames->size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(MaxDifference((*frames)[i], whole->frames[i]), 0) << i;
}

TEST_F(VideoFileTest, SkippedFramesCount) {
  EncodeFile(Path("a.mkv"), {.codec = "libx264", .max_b_frames = 2});
  const auto frames = ReadAll(Path("a.mkv"));
  ASSERT_TRUE(frames.ok());
  const auto file = VideoFile::Open(Path("a.mkv"));
  ASSERT_TRUE(file.ok());
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(*(*file)->Skip());
  EXPECT_EQ((*file)->width(), 96);
  EXPECT_EQ((*file)->height(), 64);
  EXPECT_NEAR((*file)->fps(), 24, 0.1);
  EXPECT_EQ(MaxDifference(*(*file)->Next().value(), (*frames)[7]), 0);
  for (int i = 8; i < 12; ++i) EXPECT_TRUE(*(*file)->Skip());
  EXPECT_FALSE(*(*file)->Skip());
  EXPECT_FALSE((*file)->Next().value().has_value());
}

// The track's matrix says how a phone was held (ISO/IEC 14496-12, 8.3.2).
TEST_F(VideoFileTest, FramesAreUpright) {
  std::string bytes = MakeClip({.width = 96, .height = 64}, 0, 3);
  const auto stored = ReadAll(Written("stored.mp4", bytes));
  ASSERT_TRUE(stored.ok());
  const size_t matrix = bytes.find("tkhd") + 44;
  ASSERT_EQ(bytes[bytes.find("tkhd") + 4], 0) << "version 0 has the matrix there";
  const std::string one("\x00\x01\x00\x00", 4), minus_one("\xFF\xFF\x00\x00", 4), zero(4, '\0');
  ASSERT_EQ(bytes.substr(matrix, 8), one + zero);
  // A quarter turn to the right: (x, y) is shown at (height - 1 - y, x).
  bytes.replace(matrix, 20, zero + one + zero + minus_one + zero);
  const auto file = VideoFile::Open(Written("turned.mp4", bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  const engine::Picture turned = *(*file)->Next().value();
  EXPECT_EQ((*file)->width(), 64);
  EXPECT_EQ((*file)->height(), 96);
  ASSERT_EQ(turned.width, 64);
  ASSERT_EQ(turned.height, 96);
  const engine::Picture& flat = (*stored)[0];
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 96; ++x) {
      ASSERT_EQ(turned.rgb[3 * (x * 64 + 63 - y)], flat.rgb[3 * (y * 96 + x)]) << x << "," << y;
    }
  }
}

TEST_F(VideoFileTest, DamageIsAnError) {
  std::string bytes = MakeClip({.width = 96, .height = 64}, 0, 60);
  // Half-way into the first of two fragments' pictures.
  const size_t middle =
      bytes.find("mdat") + 4 + (bytes.find("moof", bytes.find("mdat")) - bytes.find("mdat")) / 2;
  ASSERT_LT(middle + 300, bytes.size());
  std::string wrong = bytes;
  for (size_t i = 0; i < 300; ++i) wrong[middle + i] = static_cast<char>(wrong[middle + i] ^ 0x5A);
  ExpectRefused(Written("wrong.mp4", wrong));
  EncodeFile(Path("whole.mp4"), {.codec = "libx264", .frames = 30});
  const std::string whole = ReadFile(Path("whole.mp4"));
  ExpectRefused(Written("cut.mp4", whole.substr(0, whole.size() / 2)));  // its index was at the end
  EncodeFile(Path("whole.avi"), {.codec = "mpeg4", .frames = 30});
  const std::string avi = ReadFile(Path("whole.avi"));
  const auto some = ReadAll(Written("cut.avi", avi.substr(0, avi.size() / 2)));
  EXPECT_TRUE(!some.ok() || some->size() < 30);
}

TEST_F(VideoFileTest, NoVideo) {
  EXPECT_EQ(VideoFile::Open(Path("none.mp4")).status().code(), absl::StatusCode::kNotFound);
  ExpectRefused(dir_);
  ASSERT_EQ(mkfifo(Path("pipe.mp4").c_str(), 0600), 0);
  ExpectRefused(Path("pipe.mp4"));
  ExpectRefused(Written("empty.mp4", ""));
  ExpectRefused(Written("text.mp4", "this is no video\n"));
}

// What only names other files would let a data set read any file of the machine.
TEST_F(VideoFileTest, ListsOfOtherFilesAreRefused) {
  const std::string real = Written("real.ts", [&] {
    EncodeFile(Path("a.ts"), {.codec = "mpeg2video"});
    return ReadFile(Path("a.ts"));
  }());
  ExpectRefused(Written("list.mp4", "ffconcat version 1.0\nfile real.ts\n"));
  ExpectRefused(
      Written("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\nreal.ts\n#EXT-X-ENDLIST\n"));
  ASSERT_TRUE(ReadAll(real).ok());
}

TEST_F(VideoFileTest, FramesAboveTheLimit) {
  EncodeFile(Path("large.avi"), {.codec = "mjpeg", .width = 8192, .height = 4640, .frames = 1});
  ExpectRefused(Path("large.avi"));
}

// A colon must not turn the name into a protocol's.
TEST_F(VideoFileTest, NamesWithColons) {
  const auto frames = ReadAll(Written("concat:a.mp4", MakeClip({.width = 32, .height = 32}, 0, 3)));
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_EQ(frames->size(), 3u);
}

}  // namespace
}  // namespace svi::media
