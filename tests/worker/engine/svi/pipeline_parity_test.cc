// One clip from a picture, against diffusers' WanImageToVideoPipeline (tests/golden/svi/make_pipeline.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/svi/denoise.h"
#include "worker/engine/svi/pictures.h"
#include "worker/engine/svi/variants.h"
#include "worker/engine/vae/vae.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {
namespace {

const std::string kGolden = std::string(SVI_SOURCE_DIR) + "/tests/golden/svi/";

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

template <typename Model, typename Config>
std::unique_ptr<Model> Load(const std::string& component) {
  const std::string dir = kGolden + "model/" + component;
  WeightSource weights(component, ReadSafetensorsFolder(dir, "diffusion_pytorch_model").tensors);
  auto model = std::make_unique<Model>(Config::FromJson(ReadText(dir + "/config.json")), weights);
  weights.Finish();
  return model;
}

double MaxError(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

struct Parts {
  std::unique_ptr<Transformer> transformer = Load<Transformer, TransformerConfig>("transformer");
  std::map<std::string, at::Tensor> golden = ReadSafetensors(kGolden + "pipeline.safetensors").tensors;
};

// The fixture's clip up to its latents.
at::Tensor DenoiseFirstClip(const Parts& parts, const at::Tensor& clean_slots, GuidanceMode guidance) {
  DenoiseInputs inputs;
  inputs.noise = parts.golden.at("noise");
  inputs.clean_slots = clean_slots;
  inputs.prompt = parts.transformer->PrepareText(parts.golden.at("prompt_embeds"));
  inputs.negative_prompt = parts.transformer->PrepareText(parts.golden.at("negative_prompt_embeds"));
  inputs.guidance_scale = 5.0;
  inputs.guidance = guidance;
  auto sampler = MakeSampler(Sampler::kUniPc, 4, 5.0);
  return Denoise(*parts.transformer, *sampler, std::move(inputs), [](int) { return true; });
}

class EveryGuidance : public testing::TestWithParam<GuidanceMode> {};

TEST_P(EveryGuidance, FirstClipEqualsDiffusers) {
  const c10::InferenceMode no_gradients;
  const Parts parts;
  const auto vae = Load<Vae, VaeConfig>("vae");
  const at::Tensor clean_slots = PlanFirstClip(*vae, parts.golden.at("picture"), at::kCPU).clean_slots;
  const at::Tensor latents = DenoiseFirstClip(parts, clean_slots, GetParam());
  EXPECT_LE(MaxError(latents, parts.golden.at("latents")), 5e-5);

  const at::Tensor video = vae->Decode(latents);  // [1, 3, F, H, W] in [-1, 1]
  const at::Tensor kept = video.index_select(2, at::tensor({0, 1, 8, 16}, at::kLong));
  EXPECT_LE(MaxError(kept.permute({0, 2, 1, 3, 4}).div(2).add(0.5), parts.golden.at("video")), 1e-4);
}
INSTANTIATE_TEST_SUITE_P(All, EveryGuidance, testing::Values(GuidanceMode::kBatch, GuidanceMode::kTwoPass));

TEST(Guidance, OneBatchAndTwoPassesAgree) {
  const c10::InferenceMode no_gradients;
  const Parts parts;
  const at::Tensor clean_slots = parts.golden.at("noise").narrow(2, 0, 2) * 0.5;
  const at::Tensor batch = DenoiseFirstClip(parts, clean_slots, GuidanceMode::kBatch);
  EXPECT_LE(MaxError(batch, DenoiseFirstClip(parts, clean_slots, GuidanceMode::kTwoPass)), 5e-5);
  EXPECT_TRUE(at::equal(batch, DenoiseFirstClip(parts, clean_slots, GuidanceMode::kAuto))) << "it is small";
}

TEST(Guidance, TheModeFollowsFromTheSizeAlone) {
  EXPECT_TRUE(GuideInOneBatch(GuidanceMode::kAuto, 1));
  EXPECT_TRUE(GuideInOneBatch(GuidanceMode::kAuto, 2048));
  EXPECT_FALSE(GuideInOneBatch(GuidanceMode::kAuto, 2049));
  EXPECT_TRUE(GuideInOneBatch(GuidanceMode::kBatch, 100'000));
  EXPECT_FALSE(GuideInOneBatch(GuidanceMode::kTwoPass, 1));
}

TEST(PipelineParity, CleanSlotsStayAsTheyAre) {
  const c10::InferenceMode no_gradients;
  const auto transformer = Load<Transformer, TransformerConfig>("transformer");
  const auto golden = ReadSafetensors(kGolden + "pipeline.safetensors").tensors;
  DenoiseInputs inputs;
  inputs.noise = golden.at("noise");
  inputs.clean_slots = golden.at("noise").narrow(2, 2, 2) * 0.5;
  inputs.prompt = transformer->PrepareText(golden.at("prompt_embeds"));
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    auto sampler = MakeSampler(kind, 3, 5.0);
    const at::Tensor latents = Denoise(*transformer, *sampler, inputs, [](int) { return true; });
    EXPECT_TRUE(at::equal(latents.narrow(2, 0, 2), inputs.clean_slots));
    EXPECT_FALSE(at::equal(latents.narrow(2, 2, 1), inputs.noise.narrow(2, 2, 1)));
  }
}

TEST(PipelineParity, StopsBeforeTheStepThatIsRefused) {
  const c10::InferenceMode no_gradients;
  const auto transformer = Load<Transformer, TransformerConfig>("transformer");
  const auto golden = ReadSafetensors(kGolden + "pipeline.safetensors").tensors;
  DenoiseInputs inputs;
  inputs.noise = golden.at("noise");
  inputs.clean_slots = golden.at("noise").narrow(2, 0, 1);
  inputs.prompt = transformer->PrepareText(golden.at("prompt_embeds"));
  auto sampler = MakeSampler(Sampler::kEuler, 5, 5.0);
  int asked = 0;
  const at::Tensor latents = Denoise(*transformer, *sampler, inputs, [&](int) { return ++asked < 3; });
  EXPECT_FALSE(latents.defined());
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace svi::engine
