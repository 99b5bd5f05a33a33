// Both directions against the published checkpoints' names.
#include "worker/engine/checkpoint/key_map.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/worker/engine/checkpoint/checkpoint_files.h"

namespace svi::engine {
namespace {

struct Published {
  const char* component;
  size_t size;
  KeyMap names;
};

std::vector<Published> AllPublished() {
  return {{"transformer", 825, KeyMap::Transformer()},
          {"vae", 196, KeyMap::Vae(2)},
          {"text_encoder", 243, KeyMap::TextEncoder()}};
}

TEST(KeyMapTest, GivesThePublishedNamesInBothDirections) {
  const auto maps = ReadJson(GoldenPath("manifests/key-maps-5b.json"));
  for (const auto& [component, size, names] : AllPublished()) {
    const auto& published = maps.at(component);
    ASSERT_EQ(published.size(), size);
    std::set<std::string> seen;
    for (const auto& [diffusers, original] : published.items()) {
      EXPECT_EQ(names.ToOriginal(diffusers), original.get<std::string>());
      seen.insert(original.get<std::string>());
      // The tied embedding has one name in Wan's files and two in Hugging Face's.
      if (diffusers == "encoder.embed_tokens.weight") continue;
      EXPECT_EQ(names.ToDiffusers(original.get<std::string>()), diffusers);
    }
    EXPECT_EQ(seen.size(), size - (std::string(component) == "text_encoder" ? 1 : 0)) << component;
  }
}

TEST(KeyMapTest, TheManifestsHaveTheMapsNames) {
  const struct {
    const char* component;
    const char* diffusers;
    const char* original;
  } manifests[] = {{"transformer", "transformer-diffusers-ti2v-5b", "transformer-original-ti2v-5b"},
                   {"vae", "vae-diffusers-wan2.2", "vae-original-wan2.2"},
                   {"text_encoder", "text-encoder-hf-umt5-xxl", "text-encoder-original-umt5-xxl"}};
  const auto maps = ReadJson(GoldenPath("manifests/key-maps-5b.json"));
  const auto names_of = [](const char* manifest) {
    std::set<std::string> names;
    const auto parsed = ReadJson(GoldenPath("manifests/" + std::string(manifest) + ".json"));
    for (const auto& entry : parsed.at("tensors")) names.insert(entry[0].get<std::string>());
    return names;
  };
  for (const auto& [component, diffusers, original] : manifests) {
    std::set<std::string> left, right;
    for (const auto& [key, value] : maps.at(component).items()) {
      left.insert(key);
      right.insert(value.get<std::string>());
    }
    EXPECT_EQ(left, names_of(diffusers));
    EXPECT_EQ(right, names_of(original));
    EXPECT_FALSE(right.contains("freqs")) << "a buffer that Wan's code makes anew and does not save";
  }
}

TEST(KeyMapTest, KnowsAnyDepth) {
  EXPECT_EQ(KeyMap::Transformer().ToDiffusers("blocks.1234.self_attn.q.weight"),
            "blocks.1234.attn1.to_q.weight");
  EXPECT_EQ(KeyMap::TextEncoder().ToOriginal("encoder.block.77.layer.1.layer_norm.weight"),
            "blocks.77.norm2.weight");
  const KeyMap one = KeyMap::Vae(1);
  EXPECT_EQ(one.ToDiffusers("encoder.downsamples.1.downsamples.1.time_conv.bias"),
            "encoder.down_blocks.1.downsampler.time_conv.bias");
  EXPECT_EQ(one.ToDiffusers("decoder.upsamples.1.upsamples.2.resample.1.bias"),
            "decoder.up_blocks.1.upsampler.resample.1.bias");
  EXPECT_EQ(one.ToOriginal("decoder.up_blocks.3.resnets.1.norm2.gamma"),
            "decoder.upsamples.3.upsamples.1.residual.3.gamma");
}

TEST(KeyMapTest, KnowsNothingElse) {
  for (const char* name :
       {"", "blocks", "blocks.", "blocks.0", "blocks.0.", "blocks.#.self_attn.q.weight",
        "blocks.01.self_attn.q.weight", "blocks.-1.self_attn.q.weight", "blocks.0.self_attn.q",
        "blocks.0.self_attn.q.weight.x", "blocks.0.self_attn.norm_q.bias", "blocks.x.ffn.0.bias", "freqs",
        "blocks.0.norm1.weight", "head.head", "head.modulation.weight", "img_emb.proj.0.weight",
        "blocks.99999999999999999999.nothing"}) {
    EXPECT_EQ(KeyMap::Transformer().ToDiffusers(name), std::nullopt) << name;
  }
  EXPECT_EQ(KeyMap::Transformer().ToOriginal("blocks.0.norm3.weight"), std::nullopt);
  EXPECT_EQ(KeyMap::TextEncoder().ToDiffusers("pos_embedding.embedding.weight"), std::nullopt);
  // The third block of a stage with two is what changes the size.
  EXPECT_EQ(KeyMap::Vae(2).ToDiffusers("encoder.downsamples.0.downsamples.2.residual.2.weight"),
            std::nullopt);
  EXPECT_EQ(KeyMap::Vae(2).ToDiffusers("encoder.downsamples.3.downsamples.2.resample.1.weight"),
            std::nullopt);
  EXPECT_EQ(KeyMap::Vae(2).ToOriginal("encoder.down_blocks.4.resnets.0.conv1.weight"), std::nullopt);
}

}  // namespace
}  // namespace svi::engine
