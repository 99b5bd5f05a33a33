// Against real PEFT: tests/golden/lora/make_fixtures.py.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/lora/lora_test_util.h"
#include "worker/engine/lora/lora_merge.h"

namespace svi::engine {
namespace {

// Merged agrees with unmerged to this: only the order of roundings differs.
constexpr double kTolerance = 1.2e-5;

const Tensors& Outputs() {
  static const auto* outputs = new Tensors(ReadSafetensors(GoldenLora("outputs")).tensors);
  return *outputs;
}

at::Tensor Predict(const Transformer& transformer) {
  const c10::InferenceMode inference;
  return transformer.Forward(SeededUniform(1, {1, 48, 2, 4, 6}, 1.7), at::tensor({500.25f}),
                             *transformer.PrepareText(SeededUniform(2, {1, 9, 32}, 1.7)));
}

struct Style {
  const char* name;
  double scale;  // that the file itself carries
};

class EveryStyle : public testing::TestWithParam<Style> {};

TEST_P(EveryStyle, GivesWhatPeftGives) {
  const auto transformer = SeededTransformer(ConfigA());
  const LoraWeights lora = ReadLora(GoldenLora(std::string("style_") + GetParam().name), TargetsA());
  ASSERT_EQ(lora.modules.size(), 20u);
  for (const auto& [name, module] : lora.modules) {
    EXPECT_EQ(module.rank(), 2) << name;
    EXPECT_EQ(module.scale, GetParam().scale) << name;
  }
  LoraMerge merge(*transformer);
  merge.Apply({{&lora, 1.0}});
  const std::string expected = GetParam().scale == 1 ? "scale1" : "scale2";
  EXPECT_LE(MaxDifference(Predict(*transformer), Outputs().at(expected)), kTolerance);
}

TEST_P(EveryStyle, MergesToTheSameWeights) {
  const auto transformer = SeededTransformer(ConfigA());
  const auto reference = SeededTransformer(ConfigA());
  const LoraWeights lora = ReadLora(GoldenLora(std::string("style_") + GetParam().name), TargetsA());
  const LoraWeights of_svi = ReadLora(GoldenLora("style_svi"), TargetsA());
  LoraMerge merge(*transformer), reference_merge(*reference);
  merge.Apply({{&lora, 2 / GetParam().scale}});
  reference_merge.Apply({{&of_svi, 2.0}});
  const Tensors expected = WeightsOf(*reference);
  for (const auto& [name, weight] : WeightsOf(*transformer)) {
    EXPECT_LE(MaxDifference(weight, expected.at(name)), 1e-6) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryStyle,
                         testing::Values(Style{"svi", 1}, Style{"svi_bare", 1}, Style{"svi_plain", 1},
                                         Style{"comfy_ab", 1}, Style{"comfy_alpha", 2},
                                         Style{"kohya_alpha", 2}, Style{"peft", 1},
                                         Style{"diffusers_alpha", 2}),
                         [](const auto& info) { return info.param.name; });

TEST(LoraGolden, AlphasByLayer) {
  const auto transformer = SeededTransformer(ConfigA());
  const LoraWeights lora = ReadLora(GoldenLora("second_alpha_pattern"), TargetsA());
  EXPECT_EQ(lora.modules.at("blocks.1.attn1.to_q").scale, 2.0);
  EXPECT_EQ(lora.modules.at("blocks.0.attn1.to_q").scale, 3.0);
  EXPECT_EQ(lora.modules.at("blocks.1.ffn.net.2").scale, 0.5);
  LoraMerge merge(*transformer);
  merge.Apply({{&lora, 1.0}});
  EXPECT_LE(MaxDifference(Predict(*transformer), Outputs().at("second")), kTolerance);
}

TEST(LoraGolden, TwoAtOnceWithStrengths) {
  const auto transformer = SeededTransformer(ConfigA());
  const LoraWeights first = ReadLora(GoldenLora("style_kohya_alpha"), TargetsA());
  const LoraWeights second = ReadLora(GoldenLora("second_alpha_pattern"), TargetsA());
  LoraMerge merge(*transformer);
  merge.Apply({{&first, 0.75}, {&second, -0.5}});
  EXPECT_LE(MaxDifference(Predict(*transformer), Outputs().at("both")), kTolerance);
  const std::string layer = "blocks.1.attn2.to_q";
  const at::Tensor merged = WeightsOf(*transformer).at(layer);
  EXPECT_LE(MaxDifference(merged, Outputs().at("both." + layer)), 1e-6);
  merge.Apply({{&second, -0.5}, {&first, 0.75}});
  EXPECT_LE(MaxDifference(merged, WeightsOf(*transformer).at(layer)), 1e-6) << "order must not matter";
}

}  // namespace
}  // namespace svi::engine
