// What is wrong with a checkpoint is said in the names of its own files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LoaderErrorsTest : public testing::Test {
 protected:
  // One file instead of shards, so that tensors can be changed.
  void SaveTransformer(const Tensors& tensors, const nlohmann::json& changes = nlohmann::json::object()) {
    auto config = ReadJson(GoldenPath("checkpoint/original/config.json"));
    config.update(changes);
    for (const auto& [field, value] : changes.items()) {
      if (value.is_null()) config.erase(field);
    }
    WriteText(dir_.File("config.json"), config.dump());
    WriteSafetensors(dir_.File("diffusion_pytorch_model.safetensors"), TensorFile{tensors, {}});
  }
  Thrown Transformer() const {
    return Error([&] { (void)LoadTransformer(dir_.path(), {}); });
  }
  Thrown Vae() const {
    return Error([&] { (void)LoadVae(dir_.path(), {}); });
  }
  Thrown TextEncoder() const {
    return Error([&] { (void)LoadTextEncoder(dir_.path(), {}); });
  }
  Thrown Error(const std::function<void()>& load) const {
    const Thrown thrown = ErrorOf(load);
    EXPECT_THAT(thrown.message, Not(HasSubstr(dir_.path())));
    return thrown;
  }

  TempDir dir_;
};

TEST_F(LoaderErrorsTest, MissingExtraAndMisshapenTensorsAreAllNamedAsTheFileNamesThem) {
  Tensors tensors = OriginalTransformer();
  tensors.erase("blocks.0.self_attn.q.bias");
  tensors.erase("time_projection.1.weight");
  tensors["blocks.1.ffn.0.weight"] = at::zeros({47, 32});
  tensors["blocks.0.self_attn.q.bios"] = at::zeros({3});
  tensors["img_emb.proj.0.weight"] = at::zeros({3});
  SaveTransformer(tensors);
  const Thrown thrown = Transformer();
  EXPECT_EQ(thrown.kind, "invalid_argument");
  EXPECT_THAT(
      thrown.message,
      AllOf(HasSubstr("transformer: 5 wrong tensors"), HasSubstr("blocks.0.self_attn.q.bias is missing"),
            HasSubstr("time_projection.1.weight is missing"),
            HasSubstr("blocks.1.ffn.0.weight has shape [47, 32], expected [48, 32]"),
            HasSubstr("blocks.0.self_attn.q.bios is not part of this model"),
            HasSubstr("img_emb.proj.0.weight is not part of this model"), Not(HasSubstr("attn1"))));
}

TEST_F(LoaderErrorsTest, TheVaesTooWithoutAConfig) {
  Tensors tensors = OriginalVae();
  tensors.erase("encoder.downsamples.1.downsamples.2.time_conv.weight");
  tensors.erase("decoder.upsamples.0.upsamples.2.residual.6.bias");
  tensors["decoder.head.0.gamma"] = at::ones({4, 1, 1, 1});
  tensors["encoder.downsamples.0.downsamples.3.residual.0.gammas"] = at::ones({1});
  WriteSafetensors(dir_.File("vae.safetensors"), TensorFile{tensors, {}});
  const Thrown thrown = Vae();
  EXPECT_EQ(thrown.kind, "invalid_argument");
  EXPECT_THAT(thrown.message,
              AllOf(HasSubstr("vae: 4 wrong tensors"),
                    HasSubstr("encoder.downsamples.1.downsamples.2.time_conv.weight is missing"),
                    HasSubstr("decoder.upsamples.0.upsamples.2.residual.6.bias is missing"),
                    HasSubstr("decoder.head.0.gamma has shape [4, 1, 1, 1], expected [3, 1, 1, 1]"),
                    HasSubstr("residual.0.gammas is not part of this model")));
}

TEST_F(LoaderErrorsTest, TheTextEncodersTooWithoutAConfig) {
  Tensors tensors = OriginalTextEncoder();
  tensors.erase("token_embedding.weight");
  tensors.erase("blocks.1.pos_embedding.embedding.weight");
  tensors["blocks.0.norm1.weight"] = at::ones({23});
  WriteSafetensors(dir_.File("text.safetensors"), TensorFile{tensors, {}});
  const Thrown thrown = TextEncoder();
  EXPECT_EQ(thrown.kind, "invalid_argument");
  EXPECT_THAT(thrown.message, AllOf(HasSubstr("text_encoder: 3 wrong tensors"),
                                    HasSubstr("token_embedding.weight is missing"),
                                    HasSubstr("blocks.1.pos_embedding.embedding.weight is missing"),
                                    HasSubstr("blocks.0.norm1.weight has shape [23], expected [24]")));
}

TEST_F(LoaderErrorsTest, AConfigThatContradictsTheTensorsIsNamedWithItsField) {
  const std::pair<const char*, int> wrong[] = {{"ffn_dim", 64},   {"dim", 64},       {"in_dim", 16},
                                               {"out_dim", 16},   {"freq_dim", 64},  {"num_layers", 1},
                                               {"num_layers", 3}, {"text_dim", 4096}};
  for (const auto& [field, value] : wrong) {
    SaveTransformer(OriginalTransformer(), {{field, value}});
    const Thrown thrown = Transformer();
    EXPECT_EQ(thrown.kind, "invalid_argument") << field;
    EXPECT_THAT(thrown.message, HasSubstr("config.json says " + std::string(field) + " is " +
                                          std::to_string(value) + ", the tensors say "));
    fs::remove(dir_.File("diffusion_pytorch_model.safetensors"));
  }
}

TEST_F(LoaderErrorsTest, TheTextEncodersConfigTooInEitherSpelling) {
  WriteSafetensors(dir_.File("model.safetensors"), TensorFile{OriginalTextEncoder(), {}});
  for (const char* text :
       {R"({"dim": 25})", R"({"d_model": 25})", R"({"vocab": 119})", R"({"dim_ffn": 41})",
        R"({"num_buckets": 16, "vocab": 120})", R"({"encoder_layers": 3, "dim": 24})",
        R"({"num_heads": 2, "dim": 24})", R"({"dim_attn": 48})", R"({"d_kv": 16, "dim": 24})"}) {
    WriteText(dir_.File("config.json"), text);
    const Thrown thrown = TextEncoder();
    EXPECT_EQ(thrown.kind, "invalid_argument") << text;
    EXPECT_THAT(thrown.message, HasSubstr("config.json says ")) << text;
  }
  WriteText(dir_.File("config.json"), R"({"dim": 24, "shared_pos": true})");
  EXPECT_THAT(TextEncoder().message, HasSubstr("shared_pos"));
}

TEST_F(LoaderErrorsTest, TheNumberOfHeadsIsNotGuessedFromAConfigWithoutIt) {
  SaveTransformer(OriginalTransformer(), {{"num_heads", nullptr}});
  EXPECT_EQ(Transformer().kind, "invalid_argument");
  EXPECT_THAT(Transformer().message, HasSubstr("num_heads is missing"));
  fs::remove(dir_.File("config.json"));
  EXPECT_EQ(Transformer().kind, "MissingFile");
  EXPECT_THAT(Transformer().message, HasSubstr("config.json"));
}

TEST_F(LoaderErrorsTest, MissingShardsAreAllNamed) {
  WriteOriginal(dir_.path());
  fs::remove(dir_.File("diffusion_pytorch_model-00002-of-00002.safetensors"));
  EXPECT_EQ(Transformer().kind, "MissingFile");
  EXPECT_THAT(Transformer().message, HasSubstr("diffusion_pytorch_model-00002-of-00002.safetensors"));
  fs::remove(dir_.File("diffusion_pytorch_model-00001-of-00002.safetensors"));
  EXPECT_THAT(Transformer().message, AllOf(HasSubstr("00001-of-00002"), HasSubstr("00002-of-00002")));
  EXPECT_EQ(Vae().kind, "");
}

TEST_F(LoaderErrorsTest, ShardsWithoutTheirIndexMissIt) {
  WriteOriginal(dir_.path());
  fs::remove(dir_.File("diffusion_pytorch_model.safetensors.index.json"));
  EXPECT_EQ(Transformer().kind, "MissingFile");
  EXPECT_THAT(Transformer().message, HasSubstr("diffusion_pytorch_model.safetensors.index.json"));
}

TEST_F(LoaderErrorsTest, MissingPartsAreNamed) {
  const std::string nowhere = dir_.File("nowhere");
  EXPECT_EQ(ErrorOf([&] { (void)LoadTransformer(nowhere, {}); }).kind, "MissingFile");
  EXPECT_EQ(ErrorOf([&] { (void)LoadTokenizer(nowhere); }).kind, "MissingFile");
  EXPECT_EQ(ErrorOf([&] { (void)LoadTokenizer(dir_.path()); }).kind, "MissingFile");
  EXPECT_THAT(Transformer().message, HasSubstr("no transformer weights"));
  EXPECT_EQ(Vae().kind, "MissingFile");
  WriteDiffusers(dir_.path());
  fs::remove(dir_.File("vae/diffusion_pytorch_model.safetensors"));
  EXPECT_EQ(Vae().kind, "MissingFile");
  EXPECT_THAT(Vae().message, HasSubstr("vae/diffusion_pytorch_model.safetensors"));
  fs::remove(dir_.File("text_encoder/config.json"));
  EXPECT_EQ(TextEncoder().kind, "MissingFile");
  EXPECT_THAT(TextEncoder().message, HasSubstr("text_encoder/config.json"));
}

TEST_F(LoaderErrorsTest, ABrokenPthIsNamed) {
  WriteOriginal(dir_.path());
  fs::resize_file(dir_.File("Wan2.2_VAE.pth"), 1000);
  EXPECT_EQ(Vae().kind, "invalid_argument");
  EXPECT_THAT(Vae().message, HasSubstr("Wan2.2_VAE.pth"));
  EXPECT_EQ(TextEncoder().kind, "");
}

}  // namespace
}  // namespace svi::engine
