#include "worker/media/clip_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

using testing::HasSubstr;

constexpr ClipFacts kFacts = {.width = 64, .height = 32, .fps = 24, .frames = 9};

std::string MakeClip() {
  auto encoder = ClipEncoder::Open({.width = kFacts.width, .height = kFacts.height, .fps = kFacts.fps});
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  for (int i = 0; i < kFacts.frames; ++i) {
    engine::Picture frame{kFacts.width, kFacts.height, {}};
    for (int at = 0; at < 3 * kFacts.width * kFacts.height; ++at) {
      frame.rgb.push_back(static_cast<uint8_t>(at * 7 + i * 40));
    }
    EXPECT_TRUE((*encoder)->Add(frame).ok());
  }
  auto mp4 = (*encoder)->Finish();
  EXPECT_TRUE(mp4.ok()) << mp4.status();
  return *mp4;
}

absl::Status Check(const std::string& bytes, const ClipFacts& facts = kFacts) {
  return CheckClip(
      [&bytes](uint64_t offset, uint64_t length) -> absl::StatusOr<std::string> {
        return bytes.substr(offset, length);
      },
      bytes.size(), facts);
}

TEST(ClipCheckTest, WhatTheEncoderMakesIsAClip) { EXPECT_EQ(Check(MakeClip()), absl::OkStatus()); }

TEST(ClipCheckTest, OtherFactsAreRefused) {
  const std::string mp4 = MakeClip();
  ClipFacts facts = kFacts;
  facts.width = 32;
  EXPECT_THAT(Check(mp4, facts).message(), HasSubstr("it is 64x32, not 32x32"));
  facts = kFacts;
  facts.frames = 10;
  EXPECT_THAT(Check(mp4, facts).message(), HasSubstr("it has 9 frames, not 10"));
  facts = kFacts;
  facts.fps = 12;
  EXPECT_THAT(Check(mp4, facts).message(), HasSubstr("another frame rate than 12"));
}

TEST(ClipCheckTest, GarbageIsNoClip) {
  EXPECT_EQ(Check("").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Check("\xde\xad\xbe\xef").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Check(std::string(100'000, '\x5a')).code(), absl::StatusCode::kDataLoss);
}

TEST(ClipCheckTest, NoBeginningOfAClipIsOne) {
  const std::string mp4 = MakeClip();
  for (size_t size = 0; size + 1 < mp4.size(); size += 1 + size / 16) {
    EXPECT_EQ(Check(mp4.substr(0, size)).code(), absl::StatusCode::kDataLoss) << size << " of " << mp4.size();
  }
}

TEST(ClipCheckTest, AStorageThatFailsIsNotTheClipsFault) {
  const std::string mp4 = MakeClip();
  const auto fail_late = [&mp4](uint64_t offset, uint64_t length) -> absl::StatusOr<std::string> {
    if (offset + length > mp4.size() / 2) return absl::UnavailableError("the disk is gone");
    return mp4.substr(offset, length);
  };
  EXPECT_EQ(CheckClip(fail_late, mp4.size(), kFacts).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace svi::media
