#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/worker/engine/vae/generated.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// The error for the small model's config with `field` set to `value`.
std::string ErrorWith(const std::string& field, const Json& value) {
  Json json = Json::parse(SmallConfig(6, 8, 2).ToJson());
  json[field] = value;
  try {
    (void)VaeConfig::FromJson(json.dump());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(VaeConfigTest, SurvivesJson) {
  VaeConfig config = SmallConfig(6, 8, 3);
  config.temperal_downsample = {true, false, true};
  const VaeConfig read = VaeConfig::FromJson(config.ToJson());
  EXPECT_EQ(read.base_dim, 6);
  EXPECT_EQ(read.decoder_base_dim, 8);
  EXPECT_EQ(read.num_res_blocks, 3);
  EXPECT_EQ(read.z_dim, 8);
  EXPECT_EQ(read.temperal_downsample, config.temperal_downsample);
  EXPECT_EQ(read.latents_mean, config.latents_mean);
  EXPECT_EQ(read.latents_std, config.latents_std);
}

TEST(VaeConfigTest, NullDecoderWidthIsTheEncoders) {
  Json json = Json::parse(SmallConfig(6, 8, 2).ToJson());
  json["decoder_base_dim"] = nullptr;
  EXPECT_EQ(VaeConfig::FromJson(json.dump()).decoder_base_dim, 6);
}

TEST(VaeConfigTest, ErrorsNameTheField) {
  const std::vector<std::pair<std::string, Json>> wrong = {
      {"base_dim", 0},
      {"base_dim", 2.5},
      {"base_dim", "6"},
      {"decoder_base_dim", -8},
      {"decoder_base_dim", int64_t{1} << 40},
      {"z_dim", true},
      {"num_res_blocks", 0},
      {"dim_mult", {1, 2, 4}},
      {"dim_mult", {1, 2, 0, 4}},
      {"dim_mult", {1, 2, 4, 3}},
      {"dim_mult", {1.5, 2, 4, 4}},
      {"temperal_downsample", {true, true}},
      {"temperal_downsample", {true, true, true}},
      {"temperal_downsample", {0, 1, 1}},
      {"latents_mean", {0.5}},
      {"latents_mean", "none"},
      {"latents_std", {1, 1, 1, 1, 1, 1, 1, 0}},
      {"latents_std", Json::array()},
      {"is_residual", false},
      {"patch_size", nullptr},
      {"in_channels", 3},
      {"out_channels", 3},
      {"attn_scales", {1.0}},
      {"scale_factor_spatial", 8},
      {"scale_factor_temporal", 8},
      {"_class_name", "AutoencoderKL"},
  };
  for (const auto& [field, value] : wrong) EXPECT_THAT(ErrorWith(field, value), HasSubstr(field)) << value;
  EXPECT_NO_THROW((void)VaeConfig::FromJson(R"({"_class_name": "WanVAE_", "z_dim": 48})"));
}

TEST(VaeConfigTest, RefusesWhatIsNoObject) {
  EXPECT_THROW((void)VaeConfig::FromJson("{"), std::invalid_argument);
  EXPECT_THROW((void)VaeConfig::FromJson("[]"), std::invalid_argument);
}

TEST(VaeConfigTest, ConstructorRefusesAWrongConfig) {
  VaeConfig config = SmallConfig(6, 8, 2);
  config.latents_mean.pop_back();
  GeneratedWeights weights;
  EXPECT_THROW(Vae(config, weights), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
