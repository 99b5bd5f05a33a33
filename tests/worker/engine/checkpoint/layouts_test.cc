// Both layouts of one checkpoint: the same numbers to the last bit, and those of Wan's own code.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

double MaxAbs(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor RunTransformer(const std::string& dir, const Tensors& in, const LoadOptions& options = {},
                          at::ScalarType compute = at::kFloat) {
  const auto loaded = LoadTransformer(dir, options);
  const auto text = loaded.model->PrepareText(in.at("encoder_hidden_states").to(compute));
  return loaded.model->Forward(in.at("hidden_states").to(compute), in.at("timestep"), *text);
}

at::Tensor RunTextEncoder(const std::string& dir, const Tensors& in) {
  return LoadTextEncoder(dir, {}).model->Forward(in.at("input_ids"), in.at("attention_mask"));
}

class LayoutsTest : public testing::Test {
 protected:
  LayoutsTest() {
    WriteOriginal(original_.path());
    WriteDiffusers(diffusers_.path());
  }
  // The one component's files of the original layout, in a folder of their own.
  std::string Alone(const std::vector<std::string>& files) const {
    for (const std::string& file : files) {
      fs::copy_file(original_.File(file), alone_.File(fs::path(file).filename().string()));
    }
    return alone_.path();
  }

  const Tensors cases_ = ReadSafetensors(GoldenPath("checkpoint/cases.safetensors")).tensors;
  TempDir original_, diffusers_, alone_;
};

TEST_F(LayoutsTest, Transformer) {
  const at::Tensor original = RunTransformer(original_.path(), cases_);
  EXPECT_LE(MaxAbs(original, cases_.at("sample")), 1.2e-5);
  EXPECT_TRUE(at::equal(original, RunTransformer(diffusers_.path(), cases_)));
  EXPECT_TRUE(at::equal(original, RunTransformer(diffusers_.File("transformer"), cases_)));
  const std::string alone = Alone({"config.json", "diffusion_pytorch_model.safetensors.index.json",
                                   "diffusion_pytorch_model-00001-of-00002.safetensors",
                                   "diffusion_pytorch_model-00002-of-00002.safetensors"});
  EXPECT_TRUE(at::equal(original, RunTransformer(alone, cases_)));
}

// As a GPU has it: matrices in the dtype of their products, which takes half the memory and changes no
// number.
TEST_F(LayoutsTest, ProductMatricesMayBeHeldAsTheyAreUsed) {
  const LoadOptions narrow{.product_dtype = at::kBFloat16};
  for (const std::string& dir : {original_.path(), diffusers_.path()}) {
    const auto held = LoadTransformer(dir, narrow);
    for (const auto& [name, linear] : held.model->Linears()) {
      const bool time = name.find("time_") != std::string::npos;
      EXPECT_EQ(linear->weight().scalar_type(), time ? at::kFloat : at::kBFloat16) << name;
    }
    EXPECT_TRUE(at::equal(RunTransformer(dir, cases_, narrow, at::kBFloat16),
                          RunTransformer(dir, cases_, {}, at::kBFloat16)));
  }
}

TEST_F(LayoutsTest, Vae) {
  const auto original = LoadVae(original_.path(), {});
  const at::Tensor latents = original.model->Encode(cases_.at("video"));
  const at::Tensor decoded = original.model->Decode(cases_.at("z"));
  EXPECT_LE(MaxAbs(original.model->EncodeMean(cases_.at("video")), cases_.at("mean")), 1e-5);
  EXPECT_LE(MaxAbs(latents, cases_.at("latents")), 2e-5);
  EXPECT_LE(MaxAbs(decoded, cases_.at("decoded")), 2e-5);
  for (const std::string& dir : {diffusers_.path(), diffusers_.File("vae"), Alone({"Wan2.2_VAE.pth"})}) {
    const auto same = LoadVae(dir, {});
    EXPECT_EQ(same.parameters, original.parameters);
    EXPECT_TRUE(at::equal(latents, same.model->Encode(cases_.at("video"))));
    EXPECT_TRUE(at::equal(decoded, same.model->Decode(cases_.at("z"))));
  }
}

TEST_F(LayoutsTest, TextEncoder) {
  const at::Tensor original = RunTextEncoder(original_.path(), cases_);
  EXPECT_LE(MaxAbs(original, cases_.at("last_hidden_state")), 1e-5);
  EXPECT_TRUE(at::equal(original, RunTextEncoder(diffusers_.path(), cases_)));
  EXPECT_TRUE(at::equal(original, RunTextEncoder(diffusers_.File("text_encoder"), cases_)));
  EXPECT_TRUE(at::equal(original, RunTextEncoder(Alone({"models_t5_umt5-xxl-enc-bf16.pth"}), cases_)));
}

TEST_F(LayoutsTest, Tokenizer) {
  const auto ids = LoadTokenizer(original_.path())->Encode("a cat in the rain");
  EXPECT_GT(ids.size(), 3u);
  for (const std::string& dir : {diffusers_.path(), diffusers_.File("tokenizer"),
                                 original_.File("google/umt5-xxl"), original_.File("google")}) {
    if (dir.ends_with("google")) {
      EXPECT_THROW((void)LoadTokenizer(dir), MissingFile);
    } else {
      EXPECT_EQ(LoadTokenizer(dir)->Encode("a cat in the rain"), ids) << dir;
    }
  }
}

TEST_F(LayoutsTest, WeightsStayInTheirTypeUnlessAnotherIsAskedFor) {
  const auto stored = LoadTransformer(original_.path(), {});
  EXPECT_EQ(stored.model->Linears().at("blocks.1.attn2.to_k")->weight().scalar_type(), at::kFloat);
  const auto half = LoadTransformer(original_.path(), {at::kCPU, at::kBFloat16});
  const at::Tensor weight = half.model->Linears().at("blocks.1.attn2.to_k")->weight();
  EXPECT_EQ(weight.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(weight, OriginalTransformer().at("blocks.1.cross_attn.k.weight").to(at::kBFloat16)));
  EXPECT_EQ(half.parameters, stored.parameters);
}

TEST_F(LayoutsTest, OptionalTextIsEmptyWhereThereIsNone) {
  original_.Write("svi_config.json", "{\"a\": 1}");
  EXPECT_EQ(ReadOptionalText(original_.path(), "svi_config.json"), "{\"a\": 1}");
  EXPECT_EQ(ReadOptionalText(original_.path(), "scheduler/scheduler_config.json"), "");
}

}  // namespace
}  // namespace svi::engine
