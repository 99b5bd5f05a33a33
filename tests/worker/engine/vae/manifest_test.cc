// The default configuration takes exactly the tensors of the published 5B model's VAE.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

nlohmann::json Manifest() {
  std::ifstream file(SVI_SOURCE_DIR "/tests/golden/manifests/vae-diffusers-wan2.2.json");
  return nlohmann::json::parse(file);
}

// Without data, so that 700 million parameters cost nothing.
std::map<std::string, at::Tensor> MetaTensors(const nlohmann::json& manifest) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& entry : manifest["tensors"]) {
    const auto shape = entry[1].get<std::vector<int64_t>>();
    tensors[entry[0]] = at::empty(shape, at::TensorOptions(at::kFloat).device(at::kMeta));
  }
  return tensors;
}

TEST(VaeManifestTest, DefaultConfigTakesEveryPublishedTensorOnce) {
  const nlohmann::json manifest = Manifest();
  WeightSource weights("vae", MetaTensors(manifest), at::kMeta);
  const Vae vae(VaeConfig{}, weights);
  EXPECT_NO_THROW(weights.Finish());
  EXPECT_EQ(weights.parameters(), manifest["num_params"].get<uint64_t>());
}

TEST(VaeManifestTest, PublishedConfigIsTheDefault) {
  const VaeConfig published = VaeConfig::FromJson(Manifest()["config"].dump());
  EXPECT_EQ(published.ToJson(), VaeConfig::FromJson("{}").ToJson());
  EXPECT_EQ(published.base_dim, 160);
  EXPECT_EQ(published.latents_mean.size(), 48);
}

TEST(VaeManifestTest, MissingTensorIsReportedByFinishAndNotBefore) {
  for (const char* missing : {"decoder.up_blocks.1.upsampler.time_conv.weight", "encoder.conv_in.weight",
                              "encoder.mid_block.attentions.0.norm.gamma", "post_quant_conv.weight",
                              "decoder.up_blocks.0.upsampler.resample.1.weight"}) {
    auto tensors = MetaTensors(Manifest());
    ASSERT_EQ(tensors.erase(missing), 1);
    WeightSource weights("vae", std::move(tensors), at::kMeta);
    const Vae vae(VaeConfig{}, weights);
    try {
      weights.Finish();
      ADD_FAILURE() << missing;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(missing), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace svi::engine
