#include "worker/engine/lora/lora_switch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "tests/worker/engine/lora/lora_test_util.h"
#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

const std::string kLayer = "blocks.0.attn1.to_q";

class LoraSwitchTest : public testing::Test {
 protected:
  LoraSwitchTest() {
    dir_.Write("a.safetensors", LoraBytes(Pair("blocks.0.self_attn.q", 1)));
    dir_.Write("b.safetensors", LoraBytes(Pair("blocks.0.self_attn.q", 7)));
    base_ = Weight();
  }
  at::Tensor Weight() { return transformer_->Linears().at(kLayer)->weight(); }
  at::Tensor Expected(uint64_t seed, double strength) {
    return base_ +
           strength * at::mm(SeededUniform(seed + 1, {96, 2}, 0.3), SeededUniform(seed, {2, 96}, 0.3));
  }
  // Layers that were merged.
  int Put(const std::vector<LoraRef>& loras) {
    int layers = 0;
    const absl::Duration time = switch_.Put(loras, [&] { ++layers; });
    EXPECT_EQ(time > absl::ZeroDuration(), changed_ || layers > 0);
    return layers;
  }

  const TempDir dir_;
  const std::unique_ptr<Transformer> transformer_ = SeededTransformer(ConfigA());
  at::Tensor base_;
  LoraSwitch switch_{*transformer_, dir_.path(), ""};
  bool changed_ = false;  // a Put that merges nothing, but takes something away
};

TEST_F(LoraSwitchTest, MergesOnlyWhatChanged) {
  EXPECT_EQ(Put({}), 0);
  EXPECT_EQ(Put({{"a", 0.5f}}), 1);
  EXPECT_LE(MaxDifference(Weight(), Expected(1, 0.5)), 1e-6);
  const at::Tensor merged = Weight();
  EXPECT_EQ(Put({{"a", 0.5f}}), 0);
  EXPECT_TRUE(Weight().is_same(merged));
  EXPECT_EQ(Put({{"a", 0.25f}}), 1);
  EXPECT_LE(MaxDifference(Weight(), Expected(1, 0.25)), 1e-6);
  EXPECT_EQ(Put({{"a", 0.25f}, {"b", 1.0f}}), 1);
  EXPECT_EQ(Put({{"b", 1.0f}, {"a", 0.25f}}), 0) << "the order does not matter";
  EXPECT_EQ(switch_.merged_bytes(), 96u * 96 * 4);
  changed_ = true;
  EXPECT_EQ(Put({}), 0);
  EXPECT_TRUE(Weight().is_same(base_));
  EXPECT_EQ(switch_.merged_bytes(), 0u);
}

TEST_F(LoraSwitchTest, StrengthsOfOneLoraAddUp) {
  EXPECT_EQ(Put({{"a", 0.5f}, {"b", 0.0f}, {"a", 0.25f}}), 1);
  EXPECT_LE(MaxDifference(Weight(), Expected(1, 0.75)), 1e-6);
  EXPECT_EQ(Put({{"a", 0.75f}}), 0);
  changed_ = true;
  EXPECT_EQ(Put({{"a", 1.0f}, {"a", -1.0f}}), 0);
  EXPECT_TRUE(Weight().is_same(base_));
}

TEST_F(LoraSwitchTest, AReplacedFileCountsFromTheNextClip) {
  EXPECT_EQ(Put({{"a", 1.0f}}), 1);
  dir_.Write("new", LoraBytes(Pair("blocks.0.self_attn.q", 30)));
  std::filesystem::rename(dir_.File("new"), dir_.File("a.safetensors"));
  EXPECT_EQ(Put({{"a", 1.0f}}), 1);
  EXPECT_LE(MaxDifference(Weight(), Expected(30, 1)), 1e-6);
}

TEST_F(LoraSwitchTest, WhatCannotBePutLeavesWhatIs) {
  Put({{"a", 1.0f}});
  const at::Tensor merged = Weight();
  dir_.Write("bad.safetensors", "not a LoRA");
  EXPECT_THROW(switch_.Put({{"b", 1.0f}, {"absent", 1.0f}}), UnknownLora);
  EXPECT_THROW(switch_.Put({{"b", 1.0f}, {"bad", 1.0f}}), std::invalid_argument);
  EXPECT_THROW(switch_.Put({{"b", INFINITY}}), std::invalid_argument);
  EXPECT_TRUE(Weight().is_same(merged));
  EXPECT_EQ(Put({{"a", 1.0f}}), 0);
  std::filesystem::remove(dir_.File("a.safetensors"));
  EXPECT_THROW(switch_.Put({{"a", 1.0f}}), UnknownLora) << "gone is gone, though its weights are in place";
}

TEST_F(LoraSwitchTest, StoppingLeavesTheBaseAndIsNotRemembered) {
  Put({{"a", 1.0f}});
  EXPECT_THROW(switch_.Put({{"b", 1.0f}}, [] { throw std::runtime_error("stop"); }), std::runtime_error);
  EXPECT_TRUE(Weight().is_same(base_));
  EXPECT_EQ(Put({{"a", 1.0f}}), 1);
}

}  // namespace
}  // namespace svi::engine
