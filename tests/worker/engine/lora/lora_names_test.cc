#include "worker/engine/lora/lora_names.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/worker/engine/lora/lora_test_util.h"

namespace svi::engine {
namespace {

TEST(SplitLoraKey, TakesTheThreePartsAndNothingElse) {
  const auto down = SplitLoraKey("pipe.dit.blocks.0.ffn.0.lora_A.default.weight");
  ASSERT_TRUE(down);
  EXPECT_EQ(down->part, LoraPart::kDown);
  EXPECT_EQ(down->layer, "pipe.dit.blocks.0.ffn.0");
  EXPECT_EQ(SplitLoraKey("x.lora_up.weight")->part, LoraPart::kUp);
  EXPECT_EQ(SplitLoraKey("x.lora_B.weight")->part, LoraPart::kUp);
  EXPECT_EQ(SplitLoraKey("x.alpha")->part, LoraPart::kAlpha);
  for (const char* other : {"x.weight", "x.diff", "x.diff_b", "x.dora_scale", "x.lora_B.bias",
                            "x.lora_A.other.weight", "x.lora_magnitude_vector", "lora_A", ""}) {
    EXPECT_FALSE(SplitLoraKey(other)) << other;
  }
}

std::string Find(const LoraNames& names, const std::string& layer) {
  const std::string* found = names.Find(layer);
  return found == nullptr ? "none" : *found;
}

TEST(LoraNames, FindsEverySpelling) {
  const LoraNames names(TargetsA());
  for (const char* spelling :
       {"pipe.dit.blocks.1.self_attn.q", "blocks.1.self_attn.q", "diffusion_model.blocks.1.self_attn.q",
        "lora_unet_blocks_1_self_attn_q", "transformer.blocks.1.attn1.to_q", "blocks.1.attn1.to_q",
        "base_model.model.blocks.1.attn1.to_q", "base_model.model.blocks.1.self_attn.q",
        "lora_unet_blocks_1_attn1_to_q", "diffusion_model.blocks.1.attn1.to_q"}) {
    EXPECT_EQ(Find(names, spelling), "blocks.1.attn1.to_q") << spelling;
  }
  EXPECT_EQ(Find(names, "lora_unet_blocks_0_cross_attn_o"), "blocks.0.attn2.to_out.0");
  EXPECT_EQ(Find(names, "lora_unet_blocks_0_ffn_0"), "blocks.0.ffn.net.0.proj");
  EXPECT_EQ(Find(names, "pipe.dit.head.head"), "proj_out");
  EXPECT_EQ(Find(names, "diffusion_model.time_projection.1"), "condition_embedder.time_proj");
}

TEST(LoraNames, FindsWholeNamesOnly) {
  const LoraNames names(TargetsA());
  for (const char* spelling :
       {"blocks.0.self_attn.norm_q", "blocks.0.q", "q", "", "blocks.2.self_attn.q", "norm_q",
        "blocks.0.self_attn", "pipe.dit.transformer.blocks.0.self_attn.q", "lora_unet_blocks.0.self_attn.q",
        "lora_te_blocks_0_self_attn_q", "patch_embedding", "transformer.pipe.dit.blocks.0.self_attn.q",
        "xblocks.0.self_attn.q"}) {
    EXPECT_EQ(names.Find(spelling), nullptr) << spelling;
  }
}

TEST(LoraNames, UnderscoresStayUnambiguousWithManyBlocks) {
  TransformerConfig config = ConfigB();
  config.num_layers = 30;
  const LoraTargets targets = TargetsOf(*SeededTransformer(config));
  const LoraNames names(targets);
  for (const auto& [name, shape] : targets) {
    const auto original = OriginalLayerName(name);
    ASSERT_TRUE(original) << name;
    for (std::string spelling : {name, *original}) {
      std::replace(spelling.begin(), spelling.end(), '.', '_');
      EXPECT_EQ(Find(names, "lora_unet_" + spelling), name);
    }
  }
}

}  // namespace
}  // namespace svi::engine
