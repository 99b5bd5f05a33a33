#include "server/queue/plan.h"

#include <gtest/gtest.h>

#include <limits>

namespace svi::server {
namespace {

v1::VideoSpec Spec(int prompts) {
  v1::VideoSpec spec;
  for (int i = 0; i < prompts; ++i) spec.add_prompts(std::string(1, static_cast<char>('a' + i)));
  return spec;
}

TEST(Plan, PromptsTimesClipsPerPrompt) {
  v1::VideoSpec spec = Spec(3);
  EXPECT_EQ(PlannedClips(spec), 3);
  EXPECT_EQ(MostClips(spec), 3);
  spec.set_clips_per_prompt(4);
  EXPECT_EQ(PlannedClips(spec), 12);
}

TEST(Plan, NumClipsDecides) {
  v1::VideoSpec spec = Spec(3);
  spec.set_num_clips(2);
  EXPECT_EQ(PlannedClips(spec), 2);
  spec.set_variant(v1::VARIANT_SHOT);
  spec.set_num_clips(9);
  EXPECT_EQ(PlannedClips(spec), 9);
}

TEST(Plan, NumClipsCapsAnOpenEndedVideo) {
  v1::VideoSpec spec = Spec(3);
  spec.set_open_ended(true);
  EXPECT_EQ(PlannedClips(spec), 3);
  EXPECT_EQ(MostClips(spec), std::numeric_limits<uint32_t>::max());
  spec.set_num_clips(5);
  EXPECT_EQ(PlannedClips(spec), 3);
  EXPECT_EQ(MostClips(spec), 5);
  spec.set_num_clips(2);
  EXPECT_EQ(PlannedClips(spec), 2);
}

TEST(Plan, PromptOfClip) {
  v1::VideoSpec spec = Spec(2);
  spec.set_clips_per_prompt(2);
  EXPECT_EQ(PromptOfClip(spec, 0), "a");
  EXPECT_EQ(PromptOfClip(spec, 1), "a");
  EXPECT_EQ(PromptOfClip(spec, 2), "b");
  EXPECT_EQ(PromptOfClip(spec, 99), "b");
  spec.set_variant(v1::VARIANT_SHOT);
  EXPECT_EQ(PromptOfClip(spec, 99), "a");
  EXPECT_EQ(PromptOfClip(v1::VideoSpec(), 0), "");
}

TEST(Plan, SeedOfClip) {
  v1::VideoSpec spec = Spec(1);
  EXPECT_EQ(SeedOfClip(spec, 0), 0);
  EXPECT_EQ(SeedOfClip(spec, 2), 84);
  spec.set_seed(uint64_t{1} << 62);
  EXPECT_EQ(SeedOfClip(spec, 100'000), (uint64_t{1} << 62) + 4'200'000);
}

}  // namespace
}  // namespace svi::server
