#include "worker/engine/train/lora_adapter.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tests/worker/engine/train/small_model.h"
#include "worker/engine/lora/lora_file.h"
#include "worker/engine/lora/lora_merge.h"
#include "worker/engine/train/trainable.h"

namespace svi::engine {
namespace {

const LoraAdapterOptions kLora = {.rank = 4, .alpha = 6};

std::string Refusal(const LoraAdapterOptions& options) {
  const auto model = SeededTransformer(SmallConfig());
  try {
    AddAdapters(*model, options);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(LoraAdapter, FirstValuesArePefts) {
  const auto model = SeededTransformer(ConfigA());
  const std::vector<Parameter> parameters = AddAdapters(*model, {.rank = 64, .alpha = 64});
  ASSERT_EQ(parameters.size(), 2u * 20);  // ten layers a block
  for (const Parameter& parameter : parameters) {
    EXPECT_EQ(parameter.tensor.scalar_type(), at::kFloat);
    EXPECT_TRUE(parameter.tensor.requires_grad() && parameter.tensor.is_leaf()) << parameter.name;
    if (parameter.name.ends_with("lora_B.default.weight")) {
      EXPECT_FALSE(parameter.tensor.any().item<bool>()) << parameter.name;
      continue;
    }
    ASSERT_TRUE(parameter.name.ends_with("lora_A.default.weight")) << parameter.name;
    // Uniform within ±1/sqrt(in): 64 · 96 values or more.
    const double bound = 1.0 / std::sqrt(static_cast<double>(parameter.tensor.size(1)));
    EXPECT_LE(parameter.tensor.abs().max().item<double>(), bound);
    EXPECT_GE(parameter.tensor.abs().max().item<double>(), 0.99 * bound);
    EXPECT_NEAR(parameter.tensor.mean().item<double>(), 0.0, 0.05 * bound);
    EXPECT_NEAR(parameter.tensor.std().item<double>(), bound / std::sqrt(3.0), 0.03 * bound);
  }
}

TEST(LoraAdapter, ASeedGivesTheSameValuesAgain) {
  const auto values = [](uint64_t seed) {
    const auto model = SeededTransformer(SmallConfig());
    std::vector<at::Tensor> all;
    for (const Parameter& parameter : AddAdapters(*model, {.rank = 4, .alpha = 4, .seed = seed})) {
      all.push_back(parameter.tensor.detach().flatten());
    }
    return at::cat(all);
  };
  EXPECT_TRUE(at::equal(values(3), values(3)));
  EXPECT_FALSE(at::equal(values(3), values(4)));
}

TEST(LoraAdapter, ChangesNothingAtFirst) {
  const auto model = SeededTransformer(SmallConfig());
  const at::Tensor before = SmallLoss(*model);
  AddAdapters(*model, kLora);
  EXPECT_EQ(SmallLoss(*model).item<double>(), before.item<double>());
}

TEST(LoraAdapter, TargetsAreLastComponentsInEitherSpelling) {
  const auto count = [](const std::vector<std::string>& targets) {
    const auto model = SeededTransformer(SmallConfig());
    return AddAdapters(*model, {.rank = 2, .alpha = 2, .targets = targets}).size() / 2;
  };
  EXPECT_EQ(count({"q"}), 4u);
  EXPECT_EQ(count({"q", "to_q"}), 4u);
  EXPECT_EQ(count({"self_attn.q"}), 2u);
  EXPECT_EQ(count({"attn2.to_out.0", "ffn.net.2"}), 4u);
  EXPECT_EQ(count({"blocks.1.cross_attn.v"}), 1u);
}

TEST(LoraAdapter, WrongOptionsAreNamed) {
  EXPECT_EQ(Refusal({.rank = 0}), "LoRA: rank must be at least 1");
  EXPECT_EQ(Refusal({.rank = 25}), "LoRA: rank must be at most 24, the narrower side of blocks.0.attn1.to_k");
  EXPECT_EQ(Refusal({.rank = 4, .alpha = 0}), "LoRA: alpha must be above 0");
  EXPECT_EQ(Refusal({.rank = 4, .alpha = std::nan("")}), "LoRA: alpha must be above 0");
  EXPECT_EQ(Refusal({.rank = 4, .targets = {}}), "LoRA: targets is empty");
  EXPECT_EQ(Refusal({.rank = 4, .targets = {"q", "attn_q"}}),
            "LoRA: targets: the model has no layer \"attn_q\"");
  EXPECT_EQ(Refusal({.rank = 4, .targets = {""}}), "LoRA: targets: the model has no layer \"\"");
}

class LoraFileOfTraining : public testing::Test {
 protected:
  void SetUp() override {
    WriteSmallModel(dir_);
    trainable_ = LoadTrainableLora(dir_.path(), at::kCPU, kLora);
    SeedAdapters(trainable_.parameters);
  }

  const TempDir dir_;
  Trainable trainable_;
};

TEST_F(LoraFileOfTraining, ReadsBackAndMergedAnswersAsTheAdapters) {
  const std::string path = dir_.File("trained.safetensors");
  WriteSafetensors(path, LoraToFile(trainable_, {}));
  const auto merged = SeededTransformer(SmallConfig());
  const LoraWeights weights = ReadLora(path, TargetsOf(*merged));
  EXPECT_EQ(weights.modules.size(), 20u);
  for (const auto& [name, module] : weights.modules) EXPECT_EQ(module.scale, 1.5) << name;
  LoraMerge(*merged).Apply({{&weights, 1.0}});

  const SmallInputs in;
  const auto answer = [&](const Transformer& model) {
    const at::NoGradGuard not_recorded;
    return model.Forward(in.hidden, in.timestep, *model.PrepareText(in.text));
  };
  const at::Tensor of_adapters = answer(*trainable_.transformer);
  EXPECT_LE(RelativeDifference(answer(*merged), of_adapters), 1e-6);
  // And they do make a difference.
  EXPECT_GE(RelativeDifference(answer(*SeededTransformer(SmallConfig())), of_adapters), 0.1);
}

TEST_F(LoraFileOfTraining, SaysWhatItIs) {
  const TensorFile file = LoraToFile(trainable_, {{"variant", "pro"}, {"format", "mine"}});
  EXPECT_EQ(file.tensors.size(), 40u);
  EXPECT_EQ(file.tensors.at("pipe.dit.blocks.1.cross_attn.o.lora_B.default.weight").sizes(),
            (std::vector<int64_t>{24, 4}));
  EXPECT_EQ(file.tensors.at("pipe.dit.blocks.0.ffn.2.lora_A.default.weight").sizes(),
            (std::vector<int64_t>{4, 40}));
  EXPECT_EQ(file.metadata.at("rank"), "4");
  EXPECT_EQ(file.metadata.at("alpha"), "6.0");
  EXPECT_EQ(file.metadata.at("variant"), "pro");
  EXPECT_EQ(file.metadata.at("format"), "mine");  // the caller's has precedence
  EXPECT_EQ(file.metadata.at("target_modules"), R"(["q","k","v","o","ffn.0","ffn.2"])");
}

TEST_F(LoraFileOfTraining, IsNotMadeOfWholeWeights) {
  EXPECT_THROW(LoraToFile(LoadTrainableFull(dir_.path(), at::kCPU), {}), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
