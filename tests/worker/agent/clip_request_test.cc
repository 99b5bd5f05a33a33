#include "worker/agent/clip_request.h"

#include "gtest/gtest.h"

namespace svi::worker {
namespace {

engine::ModelDefaults Defaults() {
  engine::ModelDefaults defaults;
  defaults.num_frames = 17;
  defaults.num_inference_steps = 3;
  defaults.guidance_scale = 4;
  defaults.flow_shift = 6;
  defaults.fps = 12;
  defaults.negative_prompt = "ugly";
  return defaults;
}
engine::Picture Blank() { return {.width = 48, .height = 64, .rgb = std::vector<uint8_t>(3 * 48 * 64)}; }

TEST(PlanClipTest, SilentFieldsTakeTheModelsValues) {
  const auto plan = PlanClip(v1::VideoSpec(), 2, "a boat", 91, Defaults(), Blank());
  ASSERT_TRUE(plan.ok()) << plan.status();
  const engine::ClipRequest& request = plan->request;
  EXPECT_EQ(request.clip_index, 2);
  EXPECT_EQ(request.prompt, "a boat");
  EXPECT_EQ(request.negative_prompt, "ugly");
  EXPECT_EQ(request.width, 32);  // the fake DefaultSize
  EXPECT_EQ(request.height, 64);
  EXPECT_EQ(request.num_frames, 17);
  EXPECT_EQ(request.num_inference_steps, 3);
  EXPECT_EQ(request.guidance_scale, 4);
  EXPECT_EQ(request.flow_shift, 6);
  EXPECT_EQ(request.seed, 91u);
  EXPECT_EQ(request.variant, engine::Variant::kPro);
  EXPECT_EQ(request.sampler, engine::Sampler::kUniPc);
  EXPECT_TRUE(request.loras.empty());
  EXPECT_EQ(plan->fps, 12);
}

TEST(PlanClipTest, WhatIsSetIsTaken) {
  v1::VideoSpec spec;
  spec.set_negative_prompt("");  // set, and empty
  spec.set_width(96);
  spec.set_height(128);
  spec.set_num_frames(21);
  spec.set_num_inference_steps(9);
  spec.set_guidance_scale(1.5f);
  spec.set_flow_shift(2.5f);
  spec.set_variant(v1::VARIANT_FILM);
  spec.set_sampler(v1::SAMPLER_EULER);
  spec.set_fps(30);
  spec.add_lora()->set_name("a");
  spec.add_lora()->set_name("b");
  spec.mutable_lora(1)->set_strength(-0.5f);
  const auto plan = PlanClip(spec, 0, "p", 0, Defaults(), Blank());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->request.negative_prompt, "");
  EXPECT_EQ(plan->request.width, 96);
  EXPECT_EQ(plan->request.height, 128);
  EXPECT_EQ(plan->request.num_frames, 21);
  EXPECT_EQ(plan->request.num_inference_steps, 9);
  EXPECT_EQ(plan->request.guidance_scale, 1.5);
  EXPECT_EQ(plan->request.flow_shift, 2.5);
  EXPECT_EQ(plan->request.variant, engine::Variant::kFilm);
  EXPECT_EQ(plan->request.sampler, engine::Sampler::kEuler);
  EXPECT_EQ(plan->fps, 30);
  ASSERT_EQ(plan->request.loras.size(), 2u);
  EXPECT_EQ(plan->request.loras[0].strength, 1.0f);
  EXPECT_EQ(plan->request.loras[1].strength, -0.5f);
}

TEST(PlanClipTest, HalfASizeAndUnknownEnumsAreRefused) {
  v1::VideoSpec half;
  half.set_width(64);
  EXPECT_EQ(PlanClip(half, 0, "p", 0, Defaults(), Blank()).status().code(),
            absl::StatusCode::kInvalidArgument);
  v1::VideoSpec variant;
  variant.set_variant(static_cast<v1::Variant>(77));
  EXPECT_EQ(PlanClip(variant, 0, "p", 0, Defaults(), Blank()).status().code(),
            absl::StatusCode::kInvalidArgument);
  v1::VideoSpec sampler;
  sampler.set_sampler(static_cast<v1::Sampler>(77));
  EXPECT_EQ(PlanClip(sampler, 0, "p", 0, Defaults(), Blank()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ClipSeedTest, EveryClipHasItsOwn) {
  EXPECT_EQ(ClipSeed(5, 0), 5u);
  EXPECT_EQ(ClipSeed(5, 3), 131u);
  EXPECT_EQ(ClipSeed(uint64_t{1} << 62, 100000), (uint64_t{1} << 62) + 4200000);
}

}  // namespace
}  // namespace svi::worker
