#include "worker/engine/lora/lora_merge.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/worker/engine/dit/seeded_model.h"
#include "tests/worker/engine/lora/lora_test_util.h"

namespace svi::engine {
namespace {

const std::string kLayer = "blocks.0.attn1.to_q";
const std::string kOther = "blocks.1.ffn.net.0.proj";

LoraModule Module(int64_t out, int64_t in, int64_t rank, uint64_t seed, double scale = 1.0) {
  return {SeededUniform(seed, {rank, in}, 0.3), SeededUniform(seed + 1, {out, rank}, 0.3), scale};
}

LoraWeights OnBoth(uint64_t seed, double scale = 1.0) {
  return {{{kLayer, Module(96, 96, 2, seed, scale)}, {kOther, Module(160, 96, 5, seed + 2, scale)}}};
}

class LoraMergeTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  LoraMergeTest() {
    for (const auto& [name, weight] : WeightsOf(*transformer_)) base_[name] = {weight, weight.clone()};
  }

  at::Tensor Weight(const std::string& name) { return WeightsOf(*transformer_).at(name); }

  void ExpectBaseInPlace() {
    for (const auto& [name, weight] : WeightsOf(*transformer_)) {
      EXPECT_TRUE(weight.is_same(base_.at(name).tensor)) << name << " is the base's own tensor";
      EXPECT_TRUE(at::equal(weight, base_.at(name).copy)) << name << " holds the base's bits";
    }
    EXPECT_EQ(merge_.merged_bytes(), 0u);
  }

  // In double, then to the weights' dtype.
  at::Tensor Expected(const std::string& name, const std::vector<LoraUse>& uses) {
    at::Tensor sum = base_.at(name).copy.to(at::kDouble);
    for (const LoraUse& use : uses) {
      const LoraModule& module = use.weights->modules.at(name);
      sum += use.strength * module.scale * at::mm(module.up.to(at::kDouble), module.down.to(at::kDouble));
    }
    return sum.to(at::kFloat).to(GetParam());
  }

  void ExpectMerged(const std::vector<LoraUse>& uses) {
    // float32 differs by roundings of the sum; 16 bits by those that fall on the other side of a half.
    const double tolerance = GetParam() == at::kFloat ? 1e-6 : GetParam() == at::kHalf ? 1e-3 : 8e-3;
    for (const std::string& name : {kLayer, kOther}) {
      const at::Tensor weight = Weight(name), expected = Expected(name, uses);
      EXPECT_EQ(weight.scalar_type(), GetParam());
      EXPECT_LE(MaxDifference(weight, expected), tolerance) << name;
      if (GetParam() == at::kFloat) continue;
      EXPECT_GT(at::eq(weight, expected).to(at::kFloat).mean().item<double>(), 0.99)
          << name << " is summed in float32 and rounded once";
    }
  }

  struct Base {
    at::Tensor tensor, copy;
  };
  const std::unique_ptr<Transformer> transformer_ = SeededTransformer(ConfigA(), GetParam());
  std::map<std::string, Base> base_;
  LoraMerge merge_{*transformer_};
};

TEST_P(LoraMergeTest, OneLora) {
  const LoraWeights lora = OnBoth(1, 1.5);
  merge_.Apply({{&lora, 0.8}});
  ExpectMerged({{&lora, 0.8}});
  EXPECT_EQ(merge_.merged_bytes(), (96u * 96 + 160u * 96) * c10::elementSize(GetParam()));
}

TEST_P(LoraMergeTest, SeveralAtOnceWithNegativeStrengths) {
  const LoraWeights a = OnBoth(1, 0.5), b = OnBoth(10), c = OnBoth(20, 2.0);
  const std::vector<LoraUse> uses = {{&a, 1.0}, {&b, -0.75}, {&c, 0.3}};
  merge_.Apply(uses);
  ExpectMerged(uses);
}

TEST_P(LoraMergeTest, SwitchingStartsFromTheBase) {
  const LoraWeights a = OnBoth(1), b = OnBoth(10);
  merge_.Apply({{&a, 1.0}});
  merge_.Apply({{&b, 1.0}});
  ExpectMerged({{&b, 1.0}});
}

TEST_P(LoraMergeTest, SixteenBitLoras) {
  LoraWeights lora = OnBoth(1);
  for (auto& [name, module] : lora.modules)
    module.up = module.up.to(at::kHalf), module.down = module.down.to(at::kBFloat16);
  merge_.Apply({{&lora, 1.0}});
  ExpectMerged({{&lora, 1.0}});
}

TEST_P(LoraMergeTest, TheBaseComesBackBitForBit) {
  const LoraWeights lora = OnBoth(1);
  for (int i = 0; i < 3; ++i) {
    merge_.Apply({{&lora, 0.1 * (i + 1)}});
    EXPECT_FALSE(at::equal(Weight(kLayer), base_.at(kLayer).copy));
    merge_.Apply({});
    ExpectBaseInPlace();
  }
}

TEST_P(LoraMergeTest, LayersThatTheNextDoesNotNameGoBack) {
  const LoraWeights both = OnBoth(1);
  LoraWeights one;
  one.modules[kLayer] = both.modules.at(kLayer);
  merge_.Apply({{&both, 1.0}});
  merge_.Apply({{&one, 1.0}});
  EXPECT_TRUE(Weight(kOther).is_same(base_.at(kOther).tensor));
  EXPECT_FALSE(Weight(kLayer).is_same(base_.at(kLayer).tensor));
  EXPECT_EQ(merge_.merged_bytes(), 96u * 96 * c10::elementSize(GetParam()));
}

TEST_P(LoraMergeTest, StrengthZeroIsAbsent) {
  const LoraWeights lora = OnBoth(1);
  merge_.Apply({{&lora, 0.0}});
  ExpectBaseInPlace();
}

TEST_P(LoraMergeTest, FailingHalfWayLeavesTheBase) {
  const LoraWeights lora = OnBoth(1), next = OnBoth(10);
  merge_.Apply({{&lora, 1.0}});
  int layers = 0;
  const auto fail_at_second = [&] {
    if (++layers == 2) throw std::bad_alloc();
  };
  EXPECT_THROW(merge_.Apply({{&next, 1.0}}, fail_at_second), std::bad_alloc);
  EXPECT_EQ(layers, 2);
  ExpectBaseInPlace();
}

TEST_P(LoraMergeTest, LorasOfAnotherModelAreRefused) {
  LoraWeights lora = OnBoth(1);
  lora.modules["blocks.9.attn1.to_q"] = Module(96, 96, 2, 3);
  EXPECT_THROW(merge_.Apply({{&lora, 1.0}}), std::invalid_argument);
  ExpectBaseInPlace();
  const LoraWeights narrow{{{kLayer, Module(96, 90, 2, 3)}}};
  EXPECT_THROW(merge_.Apply({{&narrow, 1.0}}), std::invalid_argument);
  ExpectBaseInPlace();
}

// Large layers are merged slice by slice.
TEST(LoraMergeLarge, EveryRowIsMerged) {
  TransformerConfig config = ConfigB();
  config.ffn_dim = 70'001;
  const auto transformer = SeededTransformer(config);
  const std::string up_layer = "blocks.0.ffn.net.0.proj", down_layer = "blocks.0.ffn.net.2";
  const LoraWeights lora{{{up_layer, Module(70'001, 128, 2, 1)}, {down_layer, Module(128, 70'001, 2, 5)}}};
  const Tensors base = WeightsOf(*transformer);
  LoraMerge merge(*transformer);
  merge.Apply({{&lora, 0.5}});
  const Tensors merged = WeightsOf(*transformer);
  for (const auto& [name, module] : lora.modules) {
    const at::Tensor expected = base.at(name) + at::mm(module.up, module.down) * 0.5;
    EXPECT_LE(MaxDifference(merged.at(name), expected), 1e-6) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, LoraMergeTest, testing::Values(at::kFloat, at::kBFloat16, at::kHalf));

}  // namespace
}  // namespace svi::engine
