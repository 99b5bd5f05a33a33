#include "worker/media/picture_check.h"

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"

namespace svi::media {
namespace {

using ::testing::HasSubstr;

// One that takes the decoder seconds.
const std::string& Laborious() {
  static const auto* bytes = new std::string(JpegOfScans(8192, 100));
  return *bytes;
}

TEST(CheckPictureTest, AcceptsWhatDecodes) {
  for (const char* name :
       {"rgb.jpg", "progressive.jpg", "alpha.png", "rgb16.png", "lossless.webp", "lossy.webp"}) {
    EXPECT_EQ(CheckPicture(Fixture(name)), absl::OkStatus()) << name;
  }
}

TEST(CheckPictureTest, SaysWhatDecodingSays) {
  const std::string cut = Fixture("rgb.jpg").substr(0, 300);
  for (const std::string& bytes : {std::string(), std::string("plain text"), cut, Fixture("animated.webp")}) {
    EXPECT_EQ(CheckPicture(bytes), DecodePicture(bytes).status());
  }
}

TEST(CheckPictureTest, ThreadsMayCheckAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] { EXPECT_EQ(CheckPicture(Fixture("rgb.png")), absl::OkStatus()); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(CheckPictureTest, TooMuchMemoryIsThePicturesFault) {
  const auto png = EncodePng(MovingPicture(3000, 2000, 0));
  ASSERT_TRUE(png.ok());
  EXPECT_EQ(CheckPicture(*png), absl::OkStatus());
  const absl::Status status = CheckPicture(*png, {.memory = 12 << 20});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too much memory"));
}

TEST(CheckPictureTest, TooMuchTimeIsThePicturesFault) {
  const absl::Status status = CheckPicture(Laborious(), {.cpu_seconds = 1});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too long"));
}

TEST(CheckPictureTest, ABusyMachineIsNobodysFault) {
  EXPECT_EQ(CheckPicture(Laborious(), {.wait = absl::ZeroDuration()}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace svi::media
