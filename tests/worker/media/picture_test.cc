#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"
#include "worker/media/picture_header.h"

namespace svi::media {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* file;
  const char* expected;
  int max_difference;  // 0 where both sides are lossless; JPEG and WebP decoders may differ by rounding
};

class DecodeTest : public ::testing::TestWithParam<Case> {};

TEST_P(DecodeTest, MatchesPillow) {
  const Case& c = GetParam();
  const auto picture = DecodePicture(Fixture(c.file));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_LE(MaxDifference(*picture, Ppm(c.expected)), c.max_difference);
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeTest,
                         ::testing::Values(Case{"rgb.png", "rgb", 0}, Case{"rgb16.png", "rgb", 1},
                                           Case{"grey.png", "grey", 0}, Case{"grey16.png", "grey", 1},
                                           Case{"bits.png", "bits", 0}, Case{"palette.png", "palette", 0},
                                           Case{"alpha.png", "alpha", 1}, Case{"keyed.png", "keyed", 0},
                                           Case{"lossless.webp", "rgb", 0}, Case{"alpha.webp", "alpha", 1},
                                           Case{"lossy.webp", "rgb", 40}, Case{"rgb.jpg", "rgb", 12},
                                           Case{"progressive.jpg", "rgb", 12}, Case{"rgb_420.jpg", "rgb", 40},
                                           Case{"grey.jpg", "grey", 8}, Case{"cmyk.jpg", "rgb", 40}),
                         [](const auto& info) {
                           std::string name = info.param.file;
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

class OrientedTest : public ::testing::TestWithParam<int> {};

TEST_P(OrientedTest, PngIsUpright) {
  const std::string name = "orient" + std::to_string(GetParam());
  const auto picture = DecodePicture(Fixture(name + ".png"));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(MaxDifference(*picture, Ppm(name)), 0);
}

TEST_P(OrientedTest, JpegIsUpright) {
  const std::string name = "orient" + std::to_string(GetParam());
  const auto picture = DecodePicture(Fixture(name + ".jpg"));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_LE(MaxDifference(*picture, Ppm(name)), 12);
}

INSTANTIATE_TEST_SUITE_P(All, OrientedTest, ::testing::Range(1, 9));

TEST(DecodePictureTest, WebpIsUpright) {
  const auto picture = DecodePicture(Fixture("orient6.webp"));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(MaxDifference(*picture, Ppm("orient6")), 0);
}

TEST(DecodePictureTest, TheDemoPictureDecodes) {
  const auto picture = DecodePicture(ReadFile(SVI_SOURCE_DIR "/tests/data/boat.jpg"));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->width, 640);
  EXPECT_EQ(picture->height, 480);
}

TEST(DecodePictureTest, NotAPicture) {
  for (const std::string& bytes :
       {std::string(), std::string("hello, this is text"), std::string("GIF89a......"),
        std::string(100, '\0'), std::string("RIFF....WAVE"), std::string("\x89PNG")}) {
    const auto picture = DecodePicture(bytes);
    EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(absl::StrContains(picture.status().message(), "/"));
  }
  EXPECT_THAT(std::string(DecodePicture("plain text").status().message()), HasSubstr("JPEG, PNG or WebP"));
}

TEST(DecodePictureTest, AnimationIsRefused) {
  EXPECT_THAT(std::string(DecodePicture(Fixture("animated.webp")).status().message()), HasSubstr("animated"));
}

class DamageTest : public ::testing::TestWithParam<const char*> {};

TEST_P(DamageTest, EveryTruncationIsRefused) {
  const std::string bytes = Fixture(GetParam());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto picture = DecodePicture(std::string(bytes, 0, size));
    ASSERT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument)
        << size << " of " << bytes.size() << " bytes: " << picture.status();
  }
}

// Under the sanitizers this finds reads out of bounds; here it shows that damage never crashes or hangs.
TEST_P(DamageTest, FlippedBytesNeverCrash) {
  const std::string bytes = Fixture(GetParam());
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0xFF);
    const auto picture = DecodePicture(damaged);
    if (picture.ok()) {
      EXPECT_EQ(picture->rgb.size(), size_t{3} * picture->width * picture->height);
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, DamageTest,
                         ::testing::Values("rgb.jpg", "progressive.jpg", "rgb.png", "palette.png",
                                           "lossless.webp", "lossy.webp", "alpha.webp"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

// Rewrites the size in a JPEG's frame header: no checksum guards it, and no pixel must be allocated for it.
std::string JpegOfSize(int width, int height) {
  std::string bytes = Fixture("rgb.jpg");
  const size_t at = bytes.find("\xFF\xC0");
  const int values[] = {height, width};
  for (int i = 0; i < 2; ++i) {
    bytes[at + 5 + 2 * i] = static_cast<char>(values[i] >> 8);
    bytes[at + 6 + 2 * i] = static_cast<char>(values[i] & 255);
  }
  return bytes;
}

TEST(DecodePictureTest, TooWideOrTooHigh) {
  const auto wide = DecodePicture(JpegOfSize(16385, 32));
  EXPECT_EQ(wide.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wide.status().message()), HasSubstr("16385x32"));
  EXPECT_THAT(std::string(wide.status().message()), HasSubstr("16384"));
  EXPECT_EQ(DecodePicture(JpegOfSize(32, 65535)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DecodePictureTest, TooManyPixels) {
  const auto picture = DecodePicture(JpegOfSize(16000, 16000));
  EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr("256000000 pixels"));
}

TEST(DecodePictureTest, RareKindsOfJpegAreRefused) {
  for (const char kind : {'\xC3', '\xC5', '\xC9', '\xF7'}) {  // lossless, differential, arithmetic, JPEG-LS
    std::string bytes = Fixture("rgb.jpg");
    bytes[bytes.find("\xFF\xC0") + 1] = kind;
    const auto picture = DecodePicture(bytes);
    EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(picture.status().message()), HasSubstr("rare kind"));
  }
}

TEST(DecodePictureTest, ScansWithoutEndAreRefused) {
  EXPECT_TRUE(DecodePicture(JpegOfScans(64, 100)).ok());
  const auto picture = DecodePicture(JpegOfScans(64, 101));
  EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr("more than 100 scans"));
}

TEST(PictureHeaderTest, BytesAfterTheJpegAreDropped) {
  const std::string bytes = Fixture("rgb.jpg");
  const auto header = ReadPictureHeader(bytes + "a video, as some cameras append");
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->data, bytes);
}

TEST(PictureHeaderTest, PngChunksThatAreNoPixelsAreDropped) {
  const auto header = ReadPictureHeader(Fixture("orient6.png"));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->orientation, 6);
  EXPECT_EQ(header->data.find("eXIf"), std::string::npos);
  EXPECT_NE(header->data.find("IDAT"), std::string::npos);
}

}  // namespace
}  // namespace svi::media
