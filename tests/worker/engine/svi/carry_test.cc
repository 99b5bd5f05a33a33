#include "worker/engine/svi/carry.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace svi::engine {
namespace {

Carry ProCarry() {
  Carry carry{2, Variant::kPro, 64, 32, {}, {}, {}};
  carry.anchor = at::arange(4 * 2 * 4, at::kFloat).reshape({1, 4, 1, 2, 4});
  carry.latents = at::arange(4 * 5 * 2 * 4, at::kFloat).reshape({1, 4, 5, 2, 4});
  return carry;
}

ClipRequest NextRequest(Variant variant) {
  ClipRequest request;
  request.clip_index = 3;
  request.variant = variant;
  request.width = 64;
  request.height = 32;
  return request;
}

std::string ErrorOf(const std::string& bytes, const ClipRequest& request, int64_t channels = 4) {
  try {
    ParseCarry(bytes, request, channels);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Carry, SurvivesTheRoundTrip) {
  const std::string bytes = SerializeCarry(ProCarry());
  EXPECT_EQ(bytes, SerializeCarry(ProCarry()));
  const Carry carry = ParseCarry(bytes, NextRequest(Variant::kPro), 4);
  EXPECT_TRUE(at::equal(carry.anchor, ProCarry().anchor));
  EXPECT_TRUE(at::equal(carry.latents, ProCarry().latents));
  EXPECT_FALSE(carry.frames.defined());
}

TEST(Carry, KeepsFramesOfFilm) {
  Carry film{2, Variant::kFilm, 64, 32, {}, {}, at::randint(0, 256, {5, 3, 32, 64}, at::kByte)};
  const Carry back = ParseCarry(SerializeCarry(film), NextRequest(Variant::kFilm), 4);
  EXPECT_TRUE(at::equal(back.frames, film.frames));
}

TEST(Carry, RefusesWhatDoesNotFitTheClip) {
  const std::string bytes = SerializeCarry(ProCarry());
  ClipRequest other_clip = NextRequest(Variant::kPro);
  other_clip.clip_index = 4;
  ClipRequest other_size = NextRequest(Variant::kPro);
  other_size.width = 96;
  EXPECT_THAT(ErrorOf(bytes, other_clip), testing::HasSubstr("clip_index is 2, this clip needs 3"));
  EXPECT_THAT(ErrorOf(bytes, other_size), testing::HasSubstr("width is 64, this clip needs 96"));
  EXPECT_THAT(ErrorOf(bytes, NextRequest(Variant::kFilm)),
              testing::HasSubstr("variant is pro, this clip needs film"));
  EXPECT_THAT(ErrorOf(bytes, NextRequest(Variant::kPro), 16),
              testing::HasSubstr("anchor has the wrong shape"));
  Carry no_latents = ProCarry();
  no_latents.latents.reset();
  EXPECT_THAT(ErrorOf(SerializeCarry(no_latents), NextRequest(Variant::kPro)),
              testing::HasSubstr("latents is missing"));
  EXPECT_THAT(ErrorOf("", NextRequest(Variant::kPro)), testing::HasSubstr("carry"));
  EXPECT_NE(ErrorOf(bytes.substr(0, bytes.size() - 1), NextRequest(Variant::kPro)), "accepted");
}

}  // namespace
}  // namespace svi::engine
