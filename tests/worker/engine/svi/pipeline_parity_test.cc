// One clip from a picture, against diffusers' WanImageToVideoPipeline (tests/golden/svi/make_pipeline.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
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

TEST(PipelineParity, FirstClipEqualsDiffusers) {
  const c10::InferenceMode no_gradients;
  const auto transformer = Load<Transformer, TransformerConfig>("transformer");
  const auto vae = Load<Vae, VaeConfig>("vae");
  const auto golden = ReadSafetensors(kGolden + "pipeline.safetensors").tensors;

  DenoiseInputs inputs;
  inputs.noise = golden.at("noise");
  inputs.clean_slots = PlanFirstClip(*vae, golden.at("picture"), at::kCPU).clean_slots;
  inputs.prompt = transformer->PrepareText(golden.at("prompt_embeds"));
  inputs.negative_prompt = transformer->PrepareText(golden.at("negative_prompt_embeds"));
  inputs.guidance_scale = 5.0;
  auto sampler = MakeSampler(Sampler::kUniPc, 4, 5.0);
  const at::Tensor latents = Denoise(*transformer, *sampler, inputs, [](int) { return true; });
  EXPECT_LE(MaxError(latents, golden.at("latents")), 5e-5);

  const at::Tensor video = vae->Decode(latents);  // [1, 3, F, H, W] in [-1, 1]
  const at::Tensor kept = video.index_select(2, at::tensor({0, 1, 8, 16}, at::kLong));
  EXPECT_LE(MaxError(kept.permute({0, 2, 1, 3, 4}).div(2).add(0.5), golden.at("video")), 1e-4);
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
