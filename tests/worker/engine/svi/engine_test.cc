// The whole engine on the tiny random model, through its public face.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/svi/engine_fixture.h"

namespace svi::engine {
namespace {

using testing::HasSubstr;

TEST_F(EngineTest, SaysWhatItIs) {
  auto engine = Load();
  EXPECT_EQ(engine->info().device, "cpu");
  EXPECT_EQ(engine->info().model_label, "tiny-random");
  EXPECT_EQ(engine->info().defaults.num_frames, 17);
  EXPECT_GT(engine->info().parameters, 10'000u);
  EXPECT_GT(engine->memory().resident_bytes, 1'000'000u);
}

class EveryVariant : public EngineTest, public testing::WithParamInterface<Variant> {};

TEST_P(EveryVariant, ThreeClipsAreTheSameOnOneWorkerAndOnThree) {
  // One engine keeps its decoder warm; the others start from the carry alone. Nobody may see the difference.
  auto warm = Load();
  std::string carry;
  for (int i = 0; i < 3; ++i) {
    const MadeClip expected = Make(*warm, Request(i, GetParam()), carry);
    EXPECT_EQ(expected.result.frame_count, NewFrames(i, 17));
    EXPECT_EQ(expected.frames.size(), static_cast<size_t>(NewFrames(i, 17)));
    EXPECT_EQ(expected.frames.front().width, 64);
    EXPECT_EQ(expected.frames.front().height, 32);
    const MadeClip cold = Make(*Load(), Request(i, GetParam()), carry);
    EXPECT_TRUE(SameFrames(cold, expected)) << "clip " << i;
    EXPECT_EQ(cold.result.carry, expected.result.carry) << "clip " << i;
    carry = expected.result.carry;
  }
}

TEST_P(EveryVariant, FramesThatNobodyWantsChangeNothing) {
  auto seen = Load(), unseen = Load();
  int decoded = 0;
  ClipCallbacks blind;
  blind.frame = nullptr;
  blind.progress = [&](const Progress& progress) { decoded += progress.stage == Stage::kDecode; };
  std::string carry;
  for (int i = 0; i < 2; ++i) {
    const MadeClip expected = Make(*seen, Request(i, GetParam()), carry);
    const auto made = unseen->GenerateClip(Request(i, GetParam()), Gradient(100, 70), carry, blind);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->carry, expected.result.carry) << "clip " << i;
    EXPECT_EQ(made->frame_count, 0);
    carry = expected.result.carry;
  }
  EXPECT_EQ(decoded == 0, GetParam() == Variant::kPro) << "the others' next clip needs frames";
  EXPECT_TRUE(
      SameFrames(Make(*unseen, Request(2, GetParam()), carry), Make(*seen, Request(2, GetParam()), carry)));
}

// A clip so short that it brings fewer new frames than film is conditioned on.
TEST_P(EveryVariant, ShortClipsChain) {
  auto engine = Load();
  std::string carry;
  for (int i = 0; i < 3; ++i) {
    ClipRequest request = Request(i, GetParam());
    request.num_frames = 9;
    const MadeClip clip = Make(*engine, request, carry);
    EXPECT_EQ(clip.result.frame_count, i == 0 ? 9 : 4);
    carry = clip.result.carry;
  }
}
INSTANTIATE_TEST_SUITE_P(All, EveryVariant, testing::Values(Variant::kPro, Variant::kFilm, Variant::kShot));

TEST_F(EngineTest, SeedPromptAndSamplerMatter) {
  auto engine = Load();
  const MadeClip base = Make(*engine, Request(0), "");
  EXPECT_TRUE(SameFrames(base, Make(*engine, Request(0), "")));
  ClipRequest other = Request(0);
  other.seed = 6;
  EXPECT_FALSE(SameFrames(base, Make(*engine, other, "")));
  other = Request(0);
  other.prompt = "a red kite falls";
  EXPECT_FALSE(SameFrames(base, Make(*engine, other, "")));
  other = Request(0);
  other.sampler = Sampler::kEuler;
  EXPECT_FALSE(SameFrames(base, Make(*engine, other, "")));
  other = Request(0);
  other.guidance_scale = 1.0;
  EXPECT_FALSE(SameFrames(base, Make(*engine, other, "")));
}

TEST_F(EngineTest, ReportsEveryStepInOrder) {
  auto engine = Load();
  std::vector<std::pair<Stage, int>> seen;
  ClipCallbacks callbacks;
  callbacks.progress = [&](const Progress& p) {
    EXPECT_LE(p.step, p.total);
    seen.emplace_back(p.stage, p.step);
  };
  ASSERT_TRUE(engine->GenerateClip(Request(0), Gradient(64, 32), "", callbacks).ok());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  for (int step = 0; step <= 2; ++step) {
    EXPECT_THAT(seen, testing::Contains(std::make_pair(Stage::kDenoise, step)));
  }
  EXPECT_EQ(seen.back(), std::make_pair(Stage::kDecode, 5));
}

TEST_F(EngineTest, CancelTakesEffectAtTheNextStep) {
  auto engine = Load();
  ClipRequest request = Request(0);
  request.num_inference_steps = 50;
  int last_step = -1;
  ClipCallbacks callbacks;
  callbacks.progress = [&](const Progress& p) {
    if (p.stage == Stage::kDenoise) last_step = p.step;
  };
  callbacks.cancelled = [&] { return last_step >= 3; };
  EXPECT_EQ(engine->GenerateClip(request, Gradient(64, 32), "", callbacks).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(last_step, 3);
  EXPECT_EQ(Make(*engine, Request(0), "").result.frame_count, 17) << "the engine is good for the next clip";
}

TEST_F(EngineTest, AFrameThatCannotBeTakenEndsTheClip) {
  auto engine = Load();
  ClipCallbacks callbacks;
  callbacks.frame = [](const Picture&) { return absl::DataLossError("the encoder broke"); };
  const absl::Status status = engine->GenerateClip(Request(0), Gradient(64, 32), "", callbacks).status();
  EXPECT_EQ(status, absl::DataLossError("the encoder broke"));
}

TEST_F(EngineTest, RefusesBadRequestsByName) {
  auto engine = Load();
  auto error = [&](const std::function<void(ClipRequest&)>& change, const std::string& carry = "") {
    ClipRequest request = Request(0);
    change(request);
    const absl::Status status = engine->GenerateClip(request, Gradient(64, 32), carry, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error([](ClipRequest& r) { r.width = 63; }), HasSubstr("width must be a multiple of 32"));
  EXPECT_THAT(error([](ClipRequest& r) { r.height = 0; }), HasSubstr("height must be a multiple of 32"));
  EXPECT_THAT(error([](ClipRequest& r) { r.num_frames = 16; }), HasSubstr("num_frames must be 4k+1"));
  EXPECT_THAT(error([](ClipRequest& r) { r.num_inference_steps = -1; }), HasSubstr("num_inference_steps"));
  EXPECT_THAT(error([](ClipRequest& r) { r.guidance_scale = 0; }), HasSubstr("guidance_scale"));
  EXPECT_THAT(error([](ClipRequest& r) { r.flow_shift = -5; }), HasSubstr("flow_shift"));
  EXPECT_THAT(error([](ClipRequest& r) { r.clip_index = 1; }), HasSubstr("carry"));
  EXPECT_THAT(error([](ClipRequest& r) { r.clip_index = 1; }, "garbage that is no safetensors file"),
              HasSubstr("carry"));
  ClipRequest request = Request(0);
  request.loras.push_back({"film", 1.0f});
  const absl::Status status = engine->GenerateClip(request, Gradient(64, 32), "", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'film'"));
}

TEST(DefaultSize, KeepsTheAspectWithinTheAreaAndNeverScalesUp) {
  ModelDefaults defaults;
  int width = 0, height = 0;
  DefaultSize(defaults, 1280, 704, &width, &height);
  EXPECT_EQ(std::make_pair(width, height), std::make_pair(1280, 704));
  DefaultSize(defaults, 4000, 3000, &width, &height);
  EXPECT_EQ(std::make_pair(width, height), std::make_pair(1088, 800));
  DefaultSize(defaults, 100, 50, &width, &height);
  EXPECT_EQ(std::make_pair(width, height), std::make_pair(96, 32));
  DefaultSize(defaults, 10, 16000, &width, &height);
  EXPECT_EQ(width, 32);
}

}  // namespace
}  // namespace svi::engine
