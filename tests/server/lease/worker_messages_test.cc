#include "server/lease/worker_messages.h"

#include <gtest/gtest.h>

namespace svi::server {
namespace {

TEST(CleanTextTest, KeepsUtf8AndCutsBetweenCharacters) {
  EXPECT_EQ(CleanText("größer 猫 🐈", 100), "größer 猫 🐈");
  EXPECT_EQ(CleanText("猫猫", 5), "猫");
  EXPECT_EQ(CleanText("", 5), "");
}

TEST(CleanTextTest, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(CleanText("a\xff"
                      "b",
                      10),
            "a?b");
  EXPECT_EQ(CleanText("\xe7\x8c", 10), "??");            // cut off
  EXPECT_EQ(CleanText("\xc0\xaf", 10), "??");            // overlong '/'
  EXPECT_EQ(CleanText("\xed\xa0\x80", 10), "???");       // surrogate
  EXPECT_EQ(CleanText("\xf4\x90\x80\x80", 10), "????");  // beyond U+10FFFF
  EXPECT_EQ(CleanText(absl::string_view("a\0b\n\x7f", 5), 10), "a?b??");
}

TEST(CleanFailureTest, MakesEveryFieldPresentable) {
  v1::Failure failure;
  failure.set_code(0);
  failure.set_reason("out of memory!");
  const v1::Failure clean = CleanFailure(failure);
  EXPECT_EQ(clean.code(), 2);
  EXPECT_EQ(clean.reason(), "OUT_OF_MEMORY_");
  EXPECT_FALSE(clean.message().empty());
  failure.set_code(16);
  failure.set_reason(std::string(1000, 'x'));
  EXPECT_EQ(CleanFailure(failure).code(), 16);
  EXPECT_EQ(CleanFailure(failure).reason(), std::string(64, 'X'));
}

TEST(LeaseTest, GoesThereAndBack) {
  const Lease lease{"0a-b_c", 3, 7};
  const auto parsed = ParseLease(ToLeaseId(lease));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, lease);
  EXPECT_NE(*parsed, (Lease{"0a-b_c", 3, 8}));
  EXPECT_EQ(ClipKey(lease), "0a-b_c/clip-00003.e7.mp4");
  EXPECT_EQ(CarryKey(lease), "0a-b_c/clip-00003.e7.carry");
}

TEST(LeaseTest, RefusesWhatCannotBeAKey) {
  for (const char* video : {"", "cat", "videos/", "videos/a/b", "videos/..", "videos/A", "videos/a b"}) {
    v1::LeaseId id;
    id.set_video(video);
    id.set_epoch(1);
    EXPECT_FALSE(ParseLease(id).ok()) << video;
  }
}

v1::ClipDone GoodDone() {
  v1::ClipDone done;
  done.set_clip_bytes(1);
  done.set_clip_sha256(std::string(32, 'a'));
  done.set_carry_bytes(1);
  done.set_carry_sha256(std::string(32, 'b'));
  done.set_frame_count(81);
  done.set_width(832);
  done.set_height(480);
  done.set_fps(24);
  return done;
}

TEST(CheckDoneTest, NamesTheFieldThatIsWrong) {
  ASSERT_TRUE(CheckDone(GoodDone()).ok());
  const auto expect_refused = [](const char* field, void (*spoil)(v1::ClipDone*)) {
    v1::ClipDone done = GoodDone();
    spoil(&done);
    const absl::Status status = CheckDone(done);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field;
    EXPECT_NE(std::string(status.message()).find(field), std::string::npos) << status;
  };
  expect_refused("clip_bytes", [](v1::ClipDone* d) { d->set_clip_bytes(0); });
  expect_refused("carry_bytes", [](v1::ClipDone* d) { d->set_carry_bytes(0); });
  expect_refused("clip_sha256", [](v1::ClipDone* d) { d->set_clip_sha256("short"); });
  expect_refused("carry_sha256", [](v1::ClipDone* d) { d->set_carry_sha256(""); });
  expect_refused("frame_count", [](v1::ClipDone* d) { d->set_frame_count(0); });
  expect_refused("width", [](v1::ClipDone* d) { d->set_width(4097); });
  expect_refused("height", [](v1::ClipDone* d) { d->set_height(0); });
  expect_refused("fps", [](v1::ClipDone* d) { d->set_fps(121); });
  expect_refused("mux_time", [](v1::ClipDone* d) { d->mutable_mux_time()->set_seconds(-1); });
  expect_refused("encode_time", [](v1::ClipDone* d) { d->mutable_encode_time()->set_nanos(1000000000); });
}

TEST(CheckRegisterTest, LorasHaveNamesAndALimit) {
  v1::Register hello;
  hello.set_worker_id("w1");
  hello.add_loras("Ink_1.0-x");
  EXPECT_TRUE(CheckRegister(hello).ok());
  while (hello.loras_size() < 4096) hello.add_loras("a");
  EXPECT_TRUE(CheckRegister(hello).ok());
  hello.add_loras("a");
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRegister(hello)));
  for (const char* name : {"", ".../x", "a b", "gr\xc3\xb6\xc3\x9f"}) {
    hello.clear_loras();
    hello.add_loras(name);
    const absl::Status status = CheckRegister(hello);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_NE(std::string(status.message()).find("register.loras"), std::string::npos) << status;
  }
}

TEST(CheckProgressTest, StepsAreWithinTheTotal) {
  v1::Progress progress;
  EXPECT_FALSE(CheckProgress(progress).ok());  // no stage
  progress.set_stage(v1::STAGE_DENOISE);
  progress.set_step(50);
  progress.set_total(50);
  EXPECT_TRUE(CheckProgress(progress).ok());
  progress.set_step(51);
  EXPECT_FALSE(CheckProgress(progress).ok());
  progress.set_step(1);
  progress.mutable_eta()->set_seconds(-5);
  EXPECT_FALSE(CheckProgress(progress).ok());
}

}  // namespace
}  // namespace svi::server
