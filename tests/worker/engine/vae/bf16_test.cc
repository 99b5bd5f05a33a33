// The whole model in bfloat16, against itself in fp32 and against diffusers in bfloat16.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/vae/generated.h"
#include "worker/engine/vae/vae.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

// Twice what diffusers in bfloat16 differs by from itself in fp32; wrong arithmetic costs 10 % and more.
constexpr double kEncodeTolerance = 2 * 0.012;
constexpr double kDecodeTolerance = 2 * 0.016;

class Bf16Weights : public GeneratedWeights {
 public:
  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override {
    return GeneratedWeights::Take(name, shape).to(at::kBFloat16);
  }
};

double RelativeError(const at::Tensor& value, const at::Tensor& reference) {
  const at::Tensor expected = reference.to(at::kFloat);
  return ((value - expected).norm() / expected.norm()).item<double>();
}

class VaeBf16Test : public ::testing::Test {
 protected:
  VaeBf16Test() : vae_(SmallConfig(6, 8, 2), weights_) {}

  static std::map<std::string, at::Tensor> Golden(const std::string& name) {
    return ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/vae/" + name + ".safetensors").tensors;
  }

  Bf16Weights weights_;
  const Vae vae_;
  const std::map<std::string, at::Tensor> fp32_ = Golden("vae_a"), bf16_ = Golden("vae_a_bf16");
};

TEST_F(VaeBf16Test, Encodes) {
  const at::Tensor mean = vae_.EncodeMean(Uniform("clip.f5", {1, 3, 5, 32, 48}));
  EXPECT_EQ(mean.scalar_type(), at::kFloat);
  EXPECT_LE(RelativeError(mean, fp32_.at("mean.f5")), kEncodeTolerance);
  EXPECT_LE(RelativeError(mean, bf16_.at("mean.f5")), kEncodeTolerance);
}

TEST_F(VaeBf16Test, Decodes) {
  const at::Tensor frames = vae_.Decode(2 * Uniform("latents.t3", {1, 8, 3, 2, 3}));
  EXPECT_EQ(frames.scalar_type(), at::kFloat);
  EXPECT_LE(frames.abs().max().item<double>(), 1);
  EXPECT_LE(RelativeError(frames, fp32_.at("decoded.t3")), kDecodeTolerance);
  EXPECT_LE(RelativeError(frames, bf16_.at("decoded.t3")), kDecodeTolerance);
}

TEST_F(VaeBf16Test, ReallyComputesInBf16) {
  GeneratedWeights weights;
  const Vae fp32(SmallConfig(6, 8, 2), weights);
  const at::Tensor latents = 2 * Uniform("latents.t3", {1, 8, 3, 2, 3});
  EXPECT_GT(RelativeError(vae_.Decode(latents), fp32.Decode(latents)), 1e-3);
}

TEST_F(VaeBf16Test, TakesHalfInputs) {
  const at::Tensor latents = 2 * Uniform("latents.t3", {1, 8, 3, 2, 3}).to(at::kBFloat16);
  EXPECT_TRUE(at::equal(vae_.Decode(latents), vae_.Decode(latents.to(at::kFloat))));
}

TEST_F(VaeBf16Test, TilesEqualTheUntiledPicture) {
  const at::Tensor latents = 2 * Uniform("tiled", {1, 8, 2, 5, 7});
  EXPECT_LE(RelativeError(vae_.Decode(latents, 3), vae_.Decode(latents)), kDecodeTolerance);
}

}  // namespace
}  // namespace svi::engine
