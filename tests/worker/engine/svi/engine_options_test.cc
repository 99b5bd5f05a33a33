// What EngineOptions change, and what they must not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/worker/engine/svi/engine_fixture.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class EngineOptionsTest : public EngineTest {
 protected:
  static EngineOptions Options() { return OptionsFor(dir_, 1); }
  static std::string LoadError(const EngineOptions& options) {
    const absl::Status status = Engine::Load(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  // Two clips, the second with the first one's carry.
  static std::vector<MadeClip> TwoClips(Engine& engine, Variant variant) {
    std::vector<MadeClip> clips = {Make(engine, Request(0, variant), "")};
    clips.push_back(Make(engine, Request(1, variant), clips[0].result.carry));
    return clips;
  }

  // The largest difference of two levels.
  static int LargestDifference(const MadeClip& a, const MadeClip& b) {
    EXPECT_EQ(a.frames.size(), b.frames.size());
    int largest = 0;
    for (size_t i = 0; i < std::min(a.frames.size(), b.frames.size()); ++i) {
      for (size_t k = 0; k < a.frames[i].rgb.size(); ++k) {
        largest = std::max(largest, std::abs(int{a.frames[i].rgb[k]} - int{b.frames[i].rgb[k]}));
      }
    }
    return largest;
  }
};

TEST_F(EngineOptionsTest, ABadOptionIsNamedAsItsFlag) {
  EngineOptions options = Options();
  options.offload = "everything";
  EXPECT_THAT(LoadError(options), HasSubstr("--offload must be auto, none, text-encoder, vae or all"));
  options = Options();
  options.guidance = "both";
  EXPECT_THAT(LoadError(options), HasSubstr("--guidance must be auto, batch or two-pass"));
  options = Options();
  options.vae_dtype = "float16";
  EXPECT_THAT(LoadError(options), HasSubstr("--vae-dtype must be float32 or bfloat16"));
  for (const int tile : {-1, 1, 7, 257}) {
    options = Options();
    options.vae_tile = tile;
    EXPECT_THAT(LoadError(options),
                HasSubstr("--vae-tile must be 0 (whole frames) or from 8 to 256 latents"));
  }
}

TEST_F(EngineOptionsTest, AllBadOptionsAreNamedAtOnce) {
  EngineOptions options = Options();
  options.offload = options.guidance = options.vae_dtype = "?";
  options.vae_tile = 3;
  EXPECT_THAT(LoadError(options), AllOf(HasSubstr("--offload"), HasSubstr("--guidance"),
                                        HasSubstr("--vae-dtype"), HasSubstr("--vae-tile")));
}

TEST_F(EngineOptionsTest, TheDefaultsGiveNoWarning) {
  EXPECT_THAT(Load(Options())->info().warnings, IsEmpty());
}

TEST_F(EngineOptionsTest, AChangedVaeIsWarnedOf) {
  EngineOptions options = Options();
  options.vae_dtype = "bfloat16";
  EXPECT_THAT(
      Load(options)->info().warnings,
      ElementsAre(AllOf(HasSubstr("--vae-dtype=bfloat16"), HasSubstr("artefacts"), HasSubstr("float32"))));
  options = Options();
  options.vae_tile = 8;
  EXPECT_THAT(Load(options)->info().warnings, ElementsAre(HasSubstr("--vae-tile=8")));
}

class EveryOffload : public EngineOptionsTest, public testing::WithParamInterface<std::string> {};

TEST_P(EveryOffload, GivesTheSameClipsBitForBit) {
  EngineOptions kept = Options(), offloaded = Options();
  kept.offload = "none";
  offloaded.offload = GetParam();
  for (const Variant variant : {Variant::kPro, Variant::kShot}) {
    const std::vector<MadeClip> expected = TwoClips(*Load(kept), variant);
    const std::vector<MadeClip> got = TwoClips(*Load(offloaded), variant);
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(SameFrames(got[i], expected[i])) << "clip " << i;
      EXPECT_EQ(got[i].result.carry, expected[i].result.carry) << "clip " << i;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, EveryOffload, testing::Values("auto", "text-encoder", "vae", "all"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(EngineOptionsTest, BothWaysOfGuidanceGiveTheSameClip) {
  EngineOptions batch = Options(), two_pass = Options();
  batch.guidance = "batch";
  two_pass.guidance = "two-pass";
  const MadeClip a = Make(*Load(batch), Request(0), "");
  const MadeClip b = Make(*Load(two_pass), Request(0), "");
  EXPECT_LE(LargestDifference(a, b), 1);
  // A small clip is made as a batch where nothing else is asked for.
  EXPECT_TRUE(SameFrames(Make(*Load(Options()), Request(0), ""), a));
}

// Tip 4 of the SVI log: one worker of a video may have the option, another not.
TEST_F(EngineOptionsTest, ACarryPassesBetweenVaesOfBothDtypes) {
  EngineOptions half = Options();
  half.vae_dtype = "bfloat16";
  const auto in_float = Load(Options()), in_half = Load(half);
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    const MadeClip first = Make(*in_half, Request(0, variant), "");
    EXPECT_EQ(Make(*in_float, Request(1, variant), first.result.carry).result.frame_count, NewFrames(1, 17));
    const MadeClip first_in_float = Make(*in_float, Request(0, variant), "");
    EXPECT_EQ(Make(*in_half, Request(1, variant), first_in_float.result.carry).result.frame_count,
              NewFrames(1, 17));
    EXPECT_FALSE(SameFrames(first, first_in_float)) << "the option does something";
  }
}

TEST_F(EngineOptionsTest, TiledFramesAreWholeFramesButForRounding) {
  EngineOptions tiled = Options();
  tiled.vae_tile = 8;
  const auto whole = Load(Options()), in_tiles = Load(tiled);
  ClipRequest request = Request(0);
  request.width = 320;
  request.height = 160;
  request.num_frames = 5;
  request.num_inference_steps = 1;
  const MadeClip a = Make(*whole, request, ""), b = Make(*in_tiles, request, "");
  EXPECT_LE(LargestDifference(a, b), 1);
}

}  // namespace
}  // namespace svi::engine
