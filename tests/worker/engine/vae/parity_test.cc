// Against diffusers' AutoencoderKLWan (tests/golden/vae/make_vae_golden.py), fp32 on CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/worker/engine/vae/generated.h"
#include "worker/engine/vae/vae.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

// What the project's parity rules allow; structural mistakes cost 0.1 or more.
constexpr double kMeanTolerance = 1e-5;
constexpr double kLatentsTolerance = 2e-5;  // also for decoding random latents

const std::string kGolden = SVI_SOURCE_DIR "/tests/golden/vae/vae_";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class VaeParityTest : public ::testing::TestWithParam<std::string> {
 protected:
  VaeParityTest()
      : vae_(VaeConfig::FromJson(ReadText(kGolden + GetParam() + "_config.json")), weights_),
        golden_(ReadSafetensors(kGolden + GetParam() + ".safetensors").tensors) {}

  void CheckEncode(const std::string& clip, at::IntArrayRef shape) {
    const at::Tensor video = Uniform("clip." + clip, shape);
    const at::Tensor mean = vae_.EncodeMean(video);
    ASSERT_EQ(mean.sizes(), golden_.at("mean." + clip).sizes());
    EXPECT_LE(MaxAbs(mean, golden_.at("mean." + clip)), kMeanTolerance) << clip;
    EXPECT_LE(MaxAbs(vae_.Encode(video), golden_.at("latents." + clip)), kLatentsTolerance) << clip;
  }

  void CheckDecode(const std::string& name, at::IntArrayRef shape) {
    const at::Tensor frames = vae_.Decode(2 * Uniform("latents." + name, shape));
    ASSERT_EQ(frames.sizes(), golden_.at("decoded." + name).sizes());
    EXPECT_LE(MaxAbs(frames, golden_.at("decoded." + name)), kLatentsTolerance) << name;
  }

  GeneratedWeights weights_;
  Vae vae_;
  std::map<std::string, at::Tensor> golden_;
};

TEST_P(VaeParityTest, EncodesOneFrame) { CheckEncode("f1", {1, 3, 1, 64, 96}); }
TEST_P(VaeParityTest, EncodesNineFrames) { CheckEncode("f9", {1, 3, 9, 64, 96}); }
TEST_P(VaeParityTest, EncodesFiveFrames) { CheckEncode("f5", {1, 3, 5, 32, 48}); }
TEST_P(VaeParityTest, EncodesSeventeenFrames) { CheckEncode("f17", {1, 3, 17, 32, 32}); }
TEST_P(VaeParityTest, EncodesABatch) { CheckEncode("b2", {2, 3, 5, 32, 32}); }

TEST_P(VaeParityTest, DecodesOneLatent) { CheckDecode("t1", {1, 8, 1, 4, 6}); }
TEST_P(VaeParityTest, DecodesTwoLatentsOfABatch) { CheckDecode("t2", {2, 8, 2, 2, 1}); }
TEST_P(VaeParityTest, DecodesThreeLatents) { CheckDecode("t3", {1, 8, 3, 2, 3}); }

INSTANTIATE_TEST_SUITE_P(Models, VaeParityTest, ::testing::Values("a", "b"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace svi::engine
