// Which file is taken follows from the tensors in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/checkpoint/key_map.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class WeightChoiceTest : public testing::Test {
 protected:
  void Save(const std::string& name, const Tensors& tensors) {
    WriteSafetensors(dir_.File(name), TensorFile{tensors, {}});
  }
  void SaveConfig() {
    fs::copy_file(GoldenPath("checkpoint/original/config.json"), dir_.File("config.json"));
  }
  at::Tensor Weight(const std::string& linear) {
    return LoadTransformer(dir_.path(), {}).model->Linears().at(linear)->weight().clone();
  }
  Thrown LoadError() {
    return ErrorOf([&] { (void)LoadTransformer(dir_.path(), {}); });
  }

  Tensors weights_ = OriginalTransformer();
  TempDir dir_;
};

TEST_F(WeightChoiceTest, AnyNameAmongOtherFiles) {
  SaveConfig();
  Save("inputs.safetensors", {{"hidden_states", at::ones({2})}, {"timestep", at::ones({1})}});
  Save("outputs.safetensors", {{"sample", at::ones({2})}});
  dir_.Write("key_map.json", "{\"a\": \"b\"}");
  dir_.Write("half_written.safetensors", "abc");
  Save("anything.safetensors", weights_);
  EXPECT_TRUE(at::equal(Weight("proj_out"), weights_.at("head.head.weight")));
}

TEST_F(WeightChoiceTest, ALoraIsNotTheModel) {
  SaveConfig();
  Tensors lora;
  for (const auto& [name, tensor] : weights_) lora[name + ".lora_A.weight"] = tensor;
  Save("diffusion_pytorch_model.safetensors", lora);
  Save("model.safetensors", weights_);
  EXPECT_TRUE(at::equal(Weight("proj_out"), weights_.at("head.head.weight")));
}

TEST_F(WeightChoiceTest, SeveralThatWouldDoAreNamed) {
  SaveConfig();
  Save("first.safetensors", weights_);
  Save("second.safetensors", weights_);
  const Thrown thrown = LoadError();
  EXPECT_EQ(thrown.kind, "invalid_argument");
  EXPECT_THAT(thrown.message, AllOf(HasSubstr("first.safetensors, second.safetensors")));
}

TEST_F(WeightChoiceTest, TheUsualNameDecides) {
  SaveConfig();
  Tensors other = weights_;
  for (auto& [name, tensor] : other) tensor = at::zeros_like(tensor);
  Save("first.safetensors", other);
  Save("diffusion_pytorch_model.safetensors", weights_);
  EXPECT_TRUE(at::equal(Weight("proj_out"), weights_.at("head.head.weight")));
}

TEST_F(WeightChoiceTest, ABrokenFileWithTheUsualNameIsNotPassedOver) {
  SaveConfig();
  Save("first.safetensors", weights_);
  dir_.Write("diffusion_pytorch_model.safetensors", "abc");
  EXPECT_EQ(LoadError().kind, "invalid_argument");
  EXPECT_THAT(LoadError().message, HasSubstr("diffusion_pytorch_model.safetensors: is too short"));
}

TEST_F(WeightChoiceTest, AVaeInSafetensorsInsteadOfPth) {
  SaveConfig();
  Save("diffusion_pytorch_model.safetensors", weights_);
  Save("Wan2.2_VAE.safetensors", OriginalVae());
  const auto loaded = LoadVae(dir_.path(), {});
  EXPECT_EQ(loaded.model->config().num_res_blocks, 2);
  EXPECT_EQ(loaded.model->config().decoder_base_dim, 3);
  EXPECT_EQ(LoadTransformer(dir_.path(), {}).model->config().text_dim, 24);
}

TEST_F(WeightChoiceTest, OriginalNamesInAFolderOfTheDiffusersLayout) {
  WriteDiffusers(dir_.path());
  const std::string file = dir_.File("transformer/diffusion_pytorch_model.safetensors");
  fs::remove(file);
  WriteSafetensors(file, TensorFile{weights_, {}});
  EXPECT_TRUE(at::equal(Weight("proj_out"), weights_.at("head.head.weight")));
}

TEST_F(WeightChoiceTest, AnEmbeddingMayBeThereTwice) {
  Tensors encoder;
  for (const auto& [name, tensor] : OriginalTextEncoder()) {
    encoder[KeyMap::TextEncoder().ToDiffusers(name).value()] = tensor;
  }
  dir_.Write("config.json", "{\"d_kv\": 8}");
  for (const auto& keep :
       std::vector<std::vector<std::string>>{{"shared.weight"},
                                             {"encoder.embed_tokens.weight"},
                                             {"shared.weight", "encoder.embed_tokens.weight"}}) {
    Tensors variant = encoder;
    const at::Tensor embedding = variant.at("shared.weight");
    variant.erase("shared.weight");
    for (const std::string& name : keep) variant[name] = embedding;
    fs::remove(dir_.File("model.safetensors"));
    Save("model.safetensors", variant);
    EXPECT_EQ(LoadTextEncoder(dir_.path(), {}).model->config().vocab_size, 120) << keep.size();
  }
}

}  // namespace
}  // namespace svi::engine
