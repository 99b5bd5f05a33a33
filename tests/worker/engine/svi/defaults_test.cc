#include "worker/engine/svi/defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace svi::engine {
namespace {

TEST(SviConfig, IsWan22WhereNothingIsStated) {
  const SviConfig config = SviConfig::FromJson("", R"({"flow_shift": 3.5})");
  EXPECT_EQ(config.defaults.num_frames, 81);
  EXPECT_EQ(config.defaults.num_inference_steps, 50);
  EXPECT_EQ(config.defaults.guidance_scale, 5.0);
  EXPECT_EQ(config.defaults.flow_shift, 3.5);
  EXPECT_EQ(config.defaults.fps, 24);
  EXPECT_EQ(config.defaults.negative_prompt, kWanNegativePrompt);
}

TEST(SviConfig, SurvivesTheRoundTrip) {
  SviConfig config;
  config.name = "small";
  config.defaults.num_frames = 17;
  config.defaults.max_area = 128 * 128;
  config.defaults.negative_prompt = "noise";
  const SviConfig back = SviConfig::FromJson(config.ToJson(), R"({"flow_shift": 9})");
  EXPECT_EQ(back.ToJson(), config.ToJson());
}

TEST(SviConfig, NamesTheBadField) {
  auto error = [](const char* text) {
    try {
      SviConfig::FromJson(text, "");
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(error("[]"), testing::HasSubstr("svi_config.json is not a JSON object"));
  EXPECT_THAT(error("{"), testing::HasSubstr("svi_config.json is not a JSON object"));
  EXPECT_THAT(error(R"({"num_frames": 16})"), testing::HasSubstr("num_frames must be 4k+1"));
  EXPECT_THAT(error(R"({"num_frames": "17"})"), testing::HasSubstr("num_frames must be a number"));
  EXPECT_THAT(error(R"({"guidance_scale": 0.5})"),
              testing::HasSubstr("guidance_scale must be a number from 1"));
  EXPECT_THAT(error(R"({"name": 3})"), testing::HasSubstr("name must be a string"));
}

}  // namespace
}  // namespace svi::engine
