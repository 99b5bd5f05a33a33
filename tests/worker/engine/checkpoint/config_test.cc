// Wan's own spelling of the configs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json WanConfig() { return ReadJson(GoldenPath("checkpoint/original/config.json")); }

TEST(OriginalConfigTest, Transformer) {
  json config = WanConfig();
  config["eps"] = 1e-5;
  const auto read = TransformerConfig::FromJson(config.dump());
  EXPECT_EQ(read.num_attention_heads, 2);
  EXPECT_EQ(read.attention_head_dim, 16);
  EXPECT_EQ(read.in_channels, 8);
  EXPECT_EQ(read.out_channels, 8);
  EXPECT_EQ(read.ffn_dim, 48);
  EXPECT_EQ(read.freq_dim, 32);
  EXPECT_EQ(read.num_layers, 2);
  EXPECT_EQ(read.text_dim, 4096) << "the default of Wan's class";
  EXPECT_EQ(read.eps, 1e-5);
}

TEST(OriginalConfigTest, TransformerErrorsNameTheField) {
  const std::pair<const char*, json> wrong[] = {{"dim", 33},
                                                {"dim", 0},
                                                {"num_heads", 0},
                                                {"num_heads", nullptr},
                                                {"in_dim", "8"},
                                                {"out_dim", 1.5},
                                                {"ffn_dim", -1},
                                                {"freq_dim", 31},
                                                {"num_layers", true},
                                                {"text_dim", 0},
                                                {"model_type", "s2v"},
                                                {"qk_norm", false},
                                                {"patch_size", {1, 1, 1}},
                                                {"eps", 0},
                                                {"cross_attn_norm", false},
                                                {"window_size", {8, 8}},
                                                {"_class_name", "VaceWanModel"}};
  for (const auto& [field, value] : wrong) {
    json config = WanConfig();
    config[field] = value;
    const Thrown thrown = ErrorOf([&] { TransformerConfig::FromJson(config.dump()); });
    EXPECT_EQ(thrown.kind, "invalid_argument") << field;
    EXPECT_THAT(thrown.message, HasSubstr(field));
  }
}

TEST(OriginalConfigTest, Vae) {
  const auto read = VaeConfig::FromJson(R"({"dim": 4, "dec_dim": 6, "z_dim": 3, "dim_mult": [1, 2, 4, 4],
      "num_res_blocks": 1, "attn_scales": [], "temperal_downsample": [true, false, true], "dropout": 0.0})");
  EXPECT_EQ(read.base_dim, 4);
  EXPECT_EQ(read.decoder_base_dim, 6);
  EXPECT_EQ(read.z_dim, 3);
  EXPECT_EQ(read.num_res_blocks, 1);
  EXPECT_EQ(read.temperal_downsample, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(read.latents_mean, (std::vector<double>{-0.2289, -0.0052, -0.1323}));
  EXPECT_EQ(read.latents_std, (std::vector<double>{0.4765, 1.0364, 0.4514}));
  EXPECT_THROW((void)VaeConfig::FromJson(R"({"dim": 4, "z_dim": 49})"), std::invalid_argument);
}

TEST(OriginalConfigTest, TextEncoder) {
  const auto read = UmT5Config::FromJson(R"({"vocab": 100, "dim": 24, "dim_attn": 36, "dim_ffn": 40,
      "num_heads": 3, "encoder_layers": 5, "num_buckets": 16, "shared_pos": false})");
  EXPECT_EQ(read.vocab_size, 100);
  EXPECT_EQ(read.d_model, 24);
  EXPECT_EQ(read.d_kv, 12);
  EXPECT_EQ(read.d_ff, 40);
  EXPECT_EQ(read.num_heads, 3);
  EXPECT_EQ(read.num_layers, 5);
  EXPECT_EQ(read.relative_attention_num_buckets, 16);
  for (const char* text : {R"({"dim_attn": 35, "num_heads": 3})", R"({"shared_pos": true})", R"({"dim": 0})",
                           R"({"num_buckets": 6})"}) {
    EXPECT_THROW((void)UmT5Config::FromJson(text), std::invalid_argument) << text;
  }
}

// Wan's heads are 128 wide; without a config.json nothing else tells how many there are.
TEST(OriginalConfigTest, HeadsOfATransformerWithoutAConfig) {
  Tensors wide;
  for (const auto& [name, tensor] : OriginalTransformer()) {
    auto shape = tensor.sizes().vec();
    for (int64_t& extent : shape) {
      if (extent == 32 && name != "time_embedding.0.weight") extent = 256;
      if (extent == 6 * 32) extent = 6 * 256;
    }
    if (name == "time_embedding.0.weight") shape = {256, 32};
    // The head's four pixels of eight channels happen to be 32 too.
    if (name == "head.head.weight") shape = {32, 256};
    if (name == "head.head.bias") shape = {32};
    wide[name] = at::zeros(shape);
  }
  const TempDir dir;
  WriteSafetensors(dir.File("wan.safetensors"), TensorFile{wide, {}});
  const auto loaded = LoadTransformer(dir.path(), {});
  EXPECT_EQ(loaded.model->config().num_attention_heads, 2);
  EXPECT_EQ(loaded.model->config().attention_head_dim, 128);
  EXPECT_EQ(loaded.model->config().text_dim, 24);
  EXPECT_EQ(loaded.model->config().out_channels, 8);
}

TEST(OriginalConfigTest, AVaesOwnConfigIsObeyed) {
  const TempDir dir;
  WriteSafetensors(dir.File("vae.safetensors"), TensorFile{OriginalVae(), {}});
  WriteText(dir.File("config.json"),
            R"({"dim": 2, "dec_dim": 3, "z_dim": 6, "latents_mean": [0, 0, 0, 0, 0, 1],
      "latents_std": [1, 1, 1, 1, 1, 2]})");
  EXPECT_EQ(LoadVae(dir.path(), {}).model->config().latents_mean, (std::vector<double>{0, 0, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace svi::engine
