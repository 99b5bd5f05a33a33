#include "worker/engine/text/umt5.h"

#include <gtest/gtest.h>

#include "tests/worker/engine/text/golden_umt5.h"
#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

double MaxAbs(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

class UmT5Test : public testing::Test {
 protected:
  const std::map<std::string, at::Tensor> golden_ =
      ReadSafetensors(GoldenPath("text/umt5_cases.safetensors")).tensors;
};

TEST_F(UmT5Test, PaddedBatchEqualsTransformers) {
  const at::Tensor output = GoldenUmT5()->Forward(golden_.at("ids"), golden_.at("mask"));
  EXPECT_EQ(output.scalar_type(), at::kFloat);
  EXPECT_LE(MaxAbs(output, golden_.at("output")), 1e-5);
}

// 300 tokens reach all buckets of the relative bias. With this encoder's random tables the sum is
// ill-conditioned: the fixture is 6.5e-5 from float64, and transformers itself, on a CPU with another MKL
// kernel, 4.5e-5 from the fixture.
TEST_F(UmT5Test, LongPromptEqualsTransformers) {
  const at::Tensor& ids = golden_.at("long_ids");
  EXPECT_LE(MaxAbs(GoldenUmT5()->Forward(ids, at::ones_like(ids)), golden_.at("long_output")), 1e-4);
}

double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kFloat) - b).norm() / b.norm()).item<double>();
}

// tests/golden/components/make_fixtures.py: rows of padding included.
TEST_F(UmT5Test, AllRowsEqualTransformers) {
  const auto cases = ReadSafetensors(GoldenPath("components/text_encoder.safetensors")).tensors;
  const auto run = [&](at::ScalarType dtype) {
    return GoldenUmT5()->ForwardAllRows(cases.at("input_ids"), cases.at("attention_mask"), dtype);
  };
  const at::Tensor& expected = cases.at("last_hidden_state");
  EXPECT_LE(MaxAbs(run(at::kFloat), expected), 1e-5);

  const at::Tensor half = run(at::kBFloat16);
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  const double reference_error = RelativeError(cases.at("last_hidden_state.bf16"), expected);
  EXPECT_LE(RelativeError(half, expected), 1.5 * reference_error);
  EXPECT_GT(RelativeError(half, expected), 0.5 * reference_error);
  EXPECT_LE(RelativeError(half, cases.at("last_hidden_state.bf16").to(at::kFloat)), 1.5 * reference_error);
}

TEST_F(UmT5Test, RealTokensOfAllRowsAreForwards) {
  const auto encoder = GoldenUmT5();
  const at::Tensor all = encoder->ForwardAllRows(golden_.at("ids"), golden_.at("mask"), at::kFloat);
  const at::Tensor real = all * golden_.at("mask").unsqueeze(-1);
  EXPECT_LE(MaxAbs(real, encoder->Forward(golden_.at("ids"), golden_.at("mask"))), 1e-5);
  EXPECT_GT(MaxAbs(all, real), 0.1);
  EXPECT_THROW((void)encoder->ForwardAllRows(at::full({1, 2}, 200, at::kLong), at::ones({1, 2}), at::kFloat),
               std::invalid_argument);
  EXPECT_THROW((void)encoder->ForwardAllRows(at::zeros({1, 2}, at::kLong), at::ones({1, 3}), at::kFloat),
               std::invalid_argument);
}

TEST_F(UmT5Test, MorePaddingChangesNothing) {
  const auto encoder = GoldenUmT5();
  const at::Tensor ids = at::constant_pad_nd(golden_.at("ids"), {0, 480});
  const at::Tensor mask = at::constant_pad_nd(golden_.at("mask"), {0, 480});
  const at::Tensor output = encoder->Forward(ids, mask);
  EXPECT_TRUE(at::equal(output.narrow(1, 0, 32), encoder->Forward(golden_.at("ids"), golden_.at("mask"))));
  EXPECT_EQ(output.narrow(1, 32, 480).abs().max().item<float>(), 0);
}

TEST_F(UmT5Test, NothingButPaddingIsZero) {
  const at::Tensor none = at::zeros({1, 8}, at::kLong);
  EXPECT_TRUE(at::equal(GoldenUmT5()->Forward(none, none), at::zeros({1, 8, 32})));
}

// On the CPU bf16 weights are only stored as such: all the arithmetic is float32.
TEST_F(UmT5Test, Bfloat16WeightsAreWidened) {
  auto tensors = ReadSafetensors(GoldenPath("text/umt5_weights.safetensors")).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16).to(at::kFloat);
  WeightSource weights("text_encoder", std::move(tensors));
  const UmT5Encoder rounded(UmT5Config::FromJson(ReadGolden("text/umt5_config.json")), weights);
  weights.Finish();
  const at::Tensor expected = rounded.Forward(golden_.at("ids"), golden_.at("mask"));
  const at::Tensor output = GoldenUmT5(at::kBFloat16)->Forward(golden_.at("ids"), golden_.at("mask"));
  EXPECT_TRUE(at::equal(output, expected));
  EXPECT_GT(MaxAbs(output, golden_.at("output")), 1e-4);
}

TEST_F(UmT5Test, TheEmbeddingMayHaveEitherNameOrBoth) {
  const auto config = UmT5Config::FromJson(ReadGolden("text/umt5_config.json"));
  const auto original = ReadSafetensors(GoldenPath("text/umt5_weights.safetensors")).tensors;
  const at::Tensor table = original.at("shared.weight");
  for (const int names : {1, 2, 3}) {
    auto tensors = original;
    tensors.erase("shared.weight");
    if ((names & 1) != 0) tensors["shared.weight"] = table;
    if ((names & 2) != 0) tensors["encoder.embed_tokens.weight"] = table;
    WeightSource weights("text_encoder", std::move(tensors));
    const UmT5Encoder encoder(config, weights);
    EXPECT_NO_THROW(weights.Finish());
    EXPECT_LE(MaxAbs(encoder.Forward(golden_.at("ids"), golden_.at("mask")), golden_.at("output")), 1e-5);
  }
  auto tensors = original;
  tensors.erase("shared.weight");
  WeightSource weights("text_encoder", std::move(tensors));
  const UmT5Encoder encoder(config, weights);
  EXPECT_THROW(weights.Finish(), std::invalid_argument);
}

TEST_F(UmT5Test, IdsOutsideOfTheVocabularyAreRefused) {
  const auto encoder = GoldenUmT5();
  for (const int64_t id : {-1, 200}) {
    const at::Tensor ids = at::full({1, 4}, id, at::kLong);
    EXPECT_THROW((void)encoder->Forward(ids, at::ones_like(ids)), std::invalid_argument);
  }
}

// umT5-xxl, without its 22 GB: each tensor is one number seen many times.
TEST(UmT5ManifestTest, TheDefaultsConsumeExactlyThePublishedTensors) {
  const auto manifest = ReadGoldenJson("manifests/text-encoder-hf-umt5-xxl.json");
  ASSERT_EQ(manifest["tensors"].size(), 243u);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& entry : manifest["tensors"]) {
    tensors[entry[0]] = at::zeros({}).expand(entry[1].get<std::vector<int64_t>>());
  }
  WeightSource weights("text_encoder", std::move(tensors));
  const UmT5Encoder encoder(UmT5Config{}, weights);
  EXPECT_NO_THROW(weights.Finish());
  EXPECT_EQ(weights.parameters(), manifest["num_params"].get<uint64_t>());
}

TEST(UmT5ConfigTest, SurvivesJson) {
  UmT5Config config;
  config.d_model = 24;
  config.num_layers = 3;
  config.layer_norm_epsilon = 1e-5;
  const auto read = UmT5Config::FromJson(config.ToJson());
  EXPECT_EQ(read.ToJson(), config.ToJson());
  EXPECT_EQ(read.d_model, 24);
  EXPECT_EQ(UmT5Config::FromJson("{}").ToJson(), UmT5Config{}.ToJson());
}

TEST(UmT5ConfigTest, RefusesWhatItDoesNotDo) {
  for (const char* text :
       {R"({"feed_forward_proj":"relu"})", R"({"d_model":0})", R"({"d_model":"x"})", R"([])",
        R"({"relative_attention_num_buckets":30})", R"({"layer_norm_epsilon":-1})",
        R"({"is_gated_act":false})", R"({"relative_attention_max_distance":8})", "x"}) {
    EXPECT_THROW((void)UmT5Config::FromJson(text), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace svi::engine
