#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "tests/worker/engine/train/small_model.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/train/trainable.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

const char kModel[] = SVI_SOURCE_DIR "/tests/golden/svi/model";

TensorFile TransformerOf(const std::string& dir) {
  return ReadSafetensors(dir + "/transformer/diffusion_pytorch_model.safetensors");
}

// Takes a step of its own, so that what is written is not what was read.
Trainable Trained() {
  Trainable trainable = LoadTrainableFull(kModel, at::kCPU);
  for (const Parameter& parameter : trainable.parameters) parameter.tensor.detach().add_(0.25);
  return trainable;
}

TEST(WriteTrainedModel, IsACheckpointLikeTheOneItCameFrom) {
  const TempDir dir;
  const Trainable trainable = Trained();
  WriteTrainedModel(trainable, kModel, dir.File("out"), at::kFloat);
  const TensorFile written = TransformerOf(dir.File("out"));
  ASSERT_EQ(written.tensors.size(), trainable.parameters.size());
  for (const Parameter& parameter : trainable.parameters) {
    EXPECT_TRUE(at::equal(written.tensors.at(parameter.name), parameter.tensor)) << parameter.name;
  }
  EXPECT_TRUE(at::allclose(written.tensors.begin()->second.to(at::kFloat),
                           TransformerOf(kModel).tensors.begin()->second.to(at::kFloat) + 0.25));
  EXPECT_NO_THROW(LoadTransformer(dir.File("out"), {}));
  EXPECT_NO_THROW(LoadVae(dir.File("out"), {}));
  EXPECT_FALSE(fs::exists(dir.File("out.tmp")));
}

TEST(WriteTrainedModel, InAnotherDtype) {
  const TempDir dir;
  WriteTrainedModel(Trained(), kModel, dir.File("out/"), at::kBFloat16);
  for (const auto& [name, tensor] : TransformerOf(dir.File("out")).tensors) {
    EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
  }
}

TEST(WriteTrainedModel, TakesThePlaceOfAnEarlierOneAndOfAHalfWrittenOne) {
  const TempDir dir;
  fs::create_directories(dir.File("out.tmp/vae"));
  fs::create_directories(dir.File("out"));
  dir.Write("out/earlier", "x");
  WriteTrainedModel(Trained(), kModel, dir.File("out"), at::kFloat);
  EXPECT_FALSE(fs::exists(dir.File("out/earlier")));
  EXPECT_FALSE(fs::exists(dir.File("out.tmp")));
  EXPECT_NO_THROW(LoadTransformer(dir.File("out"), {}));
}

TEST(WriteTrainedModel, LeavesNothingWhenItFails) {
  const TempDir dir;
  EXPECT_THROW(WriteTrainedModel(Trained(), dir.path(), dir.File("out"), at::kFloat), MissingFile);
  const Trainable lora = LoadTrainableLora(kModel, at::kCPU, {.rank = 2, .alpha = 2});
  EXPECT_THROW(WriteTrainedModel(lora, kModel, dir.File("out"), at::kFloat), std::invalid_argument);
  dir.Write("file", "x");
  EXPECT_THROW(WriteTrainedModel(Trained(), kModel, dir.File("file/out"), at::kFloat), std::system_error);
  EXPECT_FALSE(fs::exists(dir.File("out")));
  EXPECT_FALSE(fs::exists(dir.File("out.tmp")));
}

TEST(TransformerSha256, IsOfTheContentNotOfTheFiles) {
  const TempDir a, b, c;
  WriteSmallModel(a);
  WriteSmallModel(b);
  // The same tensors in two files.
  TensorFile all = ReadSafetensors(b.File("diffusion_pytorch_model.safetensors")), shard;
  for (const char* const name : {"proj_out.weight", "proj_out.bias"}) {
    shard.tensors.insert(all.tensors.extract(name));
  }
  std::string index = R"({"weight_map": {)";
  for (const auto& [name, tensor] : all.tensors) index += "\"" + name + "\": \"1.safetensors\", ";
  index += R"("proj_out.weight": "2.safetensors", "proj_out.bias": "2.safetensors"}})";
  WriteSafetensors(b.File("1.safetensors"), all);
  WriteSafetensors(b.File("2.safetensors"), shard);
  fs::remove(b.File("diffusion_pytorch_model.safetensors"));
  b.Write("diffusion_pytorch_model.safetensors.index.json", index);

  const std::string hash = TransformerSha256(a.path());
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(hash.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(TransformerSha256(b.path()), hash);
  WriteSmallModel(c, at::kBFloat16);
  EXPECT_NE(TransformerSha256(c.path()), hash);
}

TEST(LoadTrainable, AFullModelsWeightsAreLeavesWhateverIsStored) {
  const TempDir dir;
  WriteSmallModel(dir, at::kBFloat16);
  const Trainable trainable = LoadTrainableFull(dir.path(), at::kCPU);
  EXPECT_EQ(trainable.parameters.size(), SeededWeights(SmallConfig()).size());
  for (const Parameter& parameter : trainable.parameters) {
    EXPECT_EQ(parameter.tensor.scalar_type(), at::kFloat);
    EXPECT_TRUE(parameter.tensor.is_leaf() && parameter.tensor.requires_grad()) << parameter.name;
  }
}

}  // namespace
}  // namespace svi::engine
