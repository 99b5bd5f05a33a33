#include <fstream>
#include <nlohmann/json.hpp>

#include "worker/engine/dit/transformer.h"

namespace svi::engine {
namespace {

// Shapes without memory, so that the model of 5 billion parameters can be built anywhere.
TEST(TransformerManifest, The5bModelTakesExactlyItsTensors) {
  std::ifstream in(SVI_SOURCE_DIR "/tests/golden/manifests/transformer-diffusers-ti2v-5b.json");
  const auto manifest = nlohmann::json::parse(in);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& entry : manifest.at("tensors")) {
    tensors[entry[0]] =
        at::empty(entry[1].get<std::vector<int64_t>>(), at::TensorOptions().device(at::kMeta));
  }
  ASSERT_EQ(tensors.size(), 825u);
  const auto config = TransformerConfig::FromJson(manifest.at("config").dump());
  WeightSource source("transformer", std::move(tensors), at::kMeta);
  const Transformer model(config, source);
  EXPECT_NO_THROW(source.Finish());
  EXPECT_EQ(source.parameters(), 4'999'787'712u);
  EXPECT_EQ(source.parameters(), manifest.at("num_params").get<uint64_t>());
}

TEST(TransformerManifest, TheDefaultConfigIsThe5bModels) {
  std::ifstream in(SVI_SOURCE_DIR "/tests/golden/manifests/transformer-diffusers-ti2v-5b.json");
  const auto config = TransformerConfig::FromJson(nlohmann::json::parse(in).at("config").dump());
  EXPECT_EQ(config.ToJson(), TransformerConfig().ToJson());
}

}  // namespace
}  // namespace svi::engine
