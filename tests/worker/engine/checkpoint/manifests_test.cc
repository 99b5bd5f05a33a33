// Every tensor of the published checkpoints is taken once, with its shape, in both layouts; and the shapes
// alone give the published configs.
#include <gtest/gtest.h>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"
#include "worker/engine/checkpoint/infer_config.h"
#include "worker/engine/checkpoint/renamed_source.h"
#include "worker/engine/checkpoint/weight_files.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/text/umt5.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

nlohmann::json Manifest(const std::string& name) {
  return ReadJson(GoldenPath("manifests/" + name + ".json"));
}

// Without memory, so that billions of parameters cost nothing.
Tensors MetaTensors(const nlohmann::json& manifest) {
  Tensors tensors;
  for (const auto& entry : manifest.at("tensors")) {
    tensors[entry[0]] =
        at::empty(entry[1].get<std::vector<int64_t>>(), at::TensorOptions(at::kFloat).device(at::kMeta));
  }
  EXPECT_EQ(tensors.size(), manifest.at("num_tensors").get<size_t>());
  return tensors;
}

template <typename Model, typename Config>
void ExpectAllTaken(Component component, const std::string& name, Layout layout) {
  SCOPED_TRACE(name);
  const auto manifest = Manifest(name);
  const Tensors tensors = MetaTensors(manifest);
  ASSERT_EQ(RecognizeNames(component, NamesOf(tensors)), layout);
  for (const auto other : {Component::kTransformer, Component::kVae, Component::kTextEncoder}) {
    if (other != component) {
      EXPECT_EQ(RecognizeNames(other, NamesOf(tensors)), std::nullopt);
    }
  }

  const KeyMap names = KeyMapOf(component, NamesOf(tensors));
  Tensors renamed;
  for (const auto& [key, tensor] : tensors) {
    renamed[layout == Layout::kOriginal ? names.ToDiffusers(key).value() : key] = tensor;
  }
  const auto inferred = InferConfig(component, renamed);
  for (const ConfigField& field : InferredFields(component)) {
    const auto& config = manifest.at("config");
    for (const char* spelling : {field.name, field.original}) {
      if (config.contains(spelling)) {
        EXPECT_EQ(inferred.at(field.name), config[spelling]) << spelling;
      }
    }
  }

  const Config config = Config::FromJson(manifest.at("config").dump());
  EXPECT_EQ(config.ToJson(), Config::FromJson(Config{}.ToJson()).ToJson());
  std::unique_ptr<WeightSource> weights;
  if (layout == Layout::kOriginal) {
    weights = std::make_unique<RenamedSource>(name, tensors, names, at::kMeta);
  } else {
    weights = std::make_unique<WeightSource>(name, tensors, at::kMeta);
  }
  const Model model(config, *weights);
  EXPECT_NO_THROW(weights->Finish());
  EXPECT_EQ(weights->parameters(), manifest.at("num_params").get<uint64_t>());
}

TEST(ManifestsTest, TransformerInBothLayouts) {
  const auto expect = ExpectAllTaken<Transformer, TransformerConfig>;
  expect(Component::kTransformer, "transformer-diffusers-ti2v-5b", Layout::kDiffusers);
  expect(Component::kTransformer, "transformer-original-ti2v-5b", Layout::kOriginal);
}

TEST(ManifestsTest, VaeInBothLayouts) {
  const auto expect = ExpectAllTaken<Vae, VaeConfig>;
  expect(Component::kVae, "vae-diffusers-wan2.2", Layout::kDiffusers);
  expect(Component::kVae, "vae-original-wan2.2", Layout::kOriginal);
}

TEST(ManifestsTest, TextEncoderInBothLayouts) {
  const auto expect = ExpectAllTaken<UmT5Encoder, UmT5Config>;
  expect(Component::kTextEncoder, "text-encoder-hf-umt5-xxl", Layout::kDiffusers);
  expect(Component::kTextEncoder, "text-encoder-original-umt5-xxl", Layout::kOriginal);
}

TEST(ManifestsTest, OneMisshapenTensorDoesNotMisleadTheSizes) {
  auto tensors = MetaTensors(Manifest("vae-diffusers-wan2.2"));
  const auto right = InferConfig(Component::kVae, tensors);
  const auto meta = at::TensorOptions(at::kFloat).device(at::kMeta);
  tensors["encoder.down_blocks.2.resnets.1.conv1.weight"] = at::empty({7, 640, 3, 3, 3}, meta);
  tensors["decoder.conv_in.weight"] = at::empty({1024, 47, 3, 3, 3}, meta);
  tensors.erase("encoder.down_blocks.1.downsampler.time_conv.weight");
  EXPECT_EQ(InferConfig(Component::kVae, tensors), right);

  tensors = MetaTensors(Manifest("transformer-diffusers-ti2v-5b"));
  const auto transformer = InferConfig(Component::kTransformer, tensors);
  tensors["blocks.0.ffn.net.0.proj.weight"] = at::empty({5, 5}, meta);
  tensors["patch_embedding.bias"] = at::empty({5}, meta);
  EXPECT_EQ(InferConfig(Component::kTransformer, tensors), transformer);
}

}  // namespace
}  // namespace svi::engine
