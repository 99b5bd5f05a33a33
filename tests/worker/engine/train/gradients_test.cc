// Gradients against PyTorch's (tests/golden/train/make_fixtures.py: diffusers' model, PEFT's adapters).
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/train/small_model.h"
#include "worker/engine/train/trainable.h"

namespace svi::engine {
namespace {

const LoraAdapterOptions kLora = {.rank = 4, .alpha = 6};

// Every gradient to 1e-5 of its tensor's largest.
void ExpectGradients(const Trainable& trainable, const std::string& golden, bool checkpoint_blocks) {
  const TensorFile expected = ReadSafetensors(TrainGolden(golden));
  const at::Tensor loss = SmallLoss(*trainable.transformer, checkpoint_blocks);
  Backward(loss);
  EXPECT_NEAR(loss.item<double>(), expected.tensors.at("loss").item<double>(), 1e-5);
  ASSERT_EQ(trainable.parameters.size(), expected.tensors.size() - 1);
  for (const Parameter& parameter : trainable.parameters) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    // Softmax has no use for what moves all its scores alike: a key's bias has no gradient but for rounding.
    const at::Tensor& exact = expected.tensors.at(parameter.name);
    if (exact.abs().max().item<double>() < 1e-6) {
      EXPECT_LE(parameter.tensor.grad().abs().max().item<double>(), 1e-6) << parameter.name;
    } else {
      EXPECT_LE(RelativeDifference(parameter.tensor.grad(), exact), 1e-5) << parameter.name;
    }
  }
}

class ReferenceGradients : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(PlainAndCheckpointed, ReferenceGradients, testing::Bool());

TEST_P(ReferenceGradients, OfEveryWeightAreDiffusers) {
  const TempDir dir;
  WriteSmallModel(dir);
  ExpectGradients(LoadTrainableFull(dir.path(), at::kCPU), "full", GetParam());
}

TEST_P(ReferenceGradients, OfEveryAdapterArePefts) {
  const TempDir dir;
  WriteSmallModel(dir);
  const Trainable trainable = LoadTrainableLora(dir.path(), at::kCPU, kLora);
  SeedAdapters(trainable.parameters);
  ExpectGradients(trainable, "lora", GetParam());
}

// Plain and checkpointed, one after the other on the same parameters.
void ExpectCheckpointingChangesNothing(const Trainable& trainable) {
  const at::Tensor plain_loss = SmallLoss(*trainable.transformer);
  Backward(plain_loss);
  std::vector<at::Tensor> plain;
  for (const Parameter& parameter : trainable.parameters) plain.push_back(parameter.tensor.grad().clone());
  ClearGradients(trainable.parameters);
  const at::Tensor loss = SmallLoss(*trainable.transformer, /*checkpoint_blocks=*/true);
  EXPECT_TRUE(at::equal(loss, plain_loss));
  Backward(loss);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(at::equal(trainable.parameters[i].tensor.grad(), plain[i])) << trainable.parameters[i].name;
  }
}

TEST(CheckpointedBlocks, GiveTheSameGradientsBitForBit) {
  const TempDir dir;
  WriteSmallModel(dir);
  ExpectCheckpointingChangesNothing(LoadTrainableFull(dir.path(), at::kCPU));
}

TEST(CheckpointedBlocks, GiveTheSameGradientsOfAdaptersBitForBit) {
  const TempDir dir;
  WriteSmallModel(dir, at::kBFloat16);
  const Trainable trainable = LoadTrainableLora(dir.path(), at::kCPU, kLora);
  SeedAdapters(trainable.parameters);
  ExpectCheckpointingChangesNothing(trainable);
}

TEST(CheckpointedBlocks, OfAFrozenModelTakeNoGradients) {
  const auto model = SeededTransformer(SmallConfig());
  Backward(SmallLoss(*model, /*checkpoint_blocks=*/true));  // nothing to do, and no error
  const at::NoGradGuard not_recorded;
  EXPECT_FALSE(SmallLoss(*model, true).requires_grad());
}

TEST(Gradients, AddUpOverPasses) {
  const TempDir dir;
  WriteSmallModel(dir);
  const Trainable trainable = LoadTrainableFull(dir.path(), at::kCPU);
  Backward(SmallLoss(*trainable.transformer, true));
  const at::Tensor& weight = trainable.parameters.front().tensor;
  const at::Tensor once = weight.grad().clone();
  Backward(SmallLoss(*trainable.transformer, true));
  EXPECT_LE(RelativeDifference(weight.grad(), once * 2), 1e-6);
}

TEST(Gradients, ATrainedModelAnswersAsAFrozenOne) {
  const TempDir dir;
  WriteSmallModel(dir);
  const Trainable trainable = LoadTrainableFull(dir.path(), at::kCPU);
  const at::Tensor frozen = SmallLoss(*SeededTransformer(SmallConfig()));
  EXPECT_TRUE(at::equal(SmallLoss(*trainable.transformer), frozen));
  EXPECT_TRUE(at::equal(SmallLoss(*trainable.transformer, true), frozen));
  const c10::InferenceMode mode;
  EXPECT_TRUE(at::equal(SmallLoss(*trainable.transformer), frozen));
  EXPECT_TRUE(at::equal(SmallLoss(*trainable.transformer, true), frozen));
}

}  // namespace
}  // namespace svi::engine
