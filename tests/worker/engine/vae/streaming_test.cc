// Decoding latent by latent: who remembers what, and for how long.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/engine/vae/generated.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

at::Tensor Latents(const std::string& name, int64_t frames, int64_t height = 1, int64_t width = 1) {
  return 2 * Uniform(name, {1, 8, frames, height, width});
}

Vae MakeVae(const VaeConfig& config, GeneratedWeights::Kind kind = GeneratedWeights::Kind::kRandom) {
  GeneratedWeights weights(kind);
  return Vae(config, weights);
}

TEST(VaeStreamingTest, DecodeNextGivesTheFramesOfDecode) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor latents = Latents("streaming", 5, 2, 3);
  const at::Tensor whole = vae.Decode(latents);
  const auto state = vae.NewDecoderState();
  int64_t begin = 0;
  for (int64_t t = 0; t < 5; ++t) {
    const at::Tensor frames = vae.DecodeNext(latents.narrow(2, t, 1), *state);
    ASSERT_EQ(frames.size(2), t == 0 ? 1 : 4);
    EXPECT_TRUE(at::equal(frames, whole.narrow(2, begin, frames.size(2)))) << t;
    begin += frames.size(2);
  }
  EXPECT_EQ(begin, whole.size(2));
}

TEST(VaeStreamingTest, InterleavedVideosDoNotDisturbEachOther) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor one = Latents("one", 4, 2, 2), other = Latents("other", 4, 3, 1);
  const auto state_one = vae.NewDecoderState(), state_other = vae.NewDecoderState();
  std::vector<at::Tensor> frames_one, frames_other;
  for (int64_t t = 0; t < 4; ++t) {
    frames_one.push_back(vae.DecodeNext(one.narrow(2, t, 1), *state_one));
    frames_other.push_back(vae.DecodeNext(other.narrow(2, t, 1), *state_other));
  }
  EXPECT_TRUE(at::equal(at::cat(frames_one, 2), vae.Decode(one)));
  EXPECT_TRUE(at::equal(at::cat(frames_other, 2), vae.Decode(other)));
}

TEST(VaeStreamingTest, FramesAlreadyGivenOutAreNotTouchedLater) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor latents = Latents("kept", 3);
  const auto state = vae.NewDecoderState();
  const at::Tensor first = vae.DecodeNext(latents.narrow(2, 0, 1), *state);
  const at::Tensor kept = first.clone();
  for (int64_t t = 1; t < 3; ++t) EXPECT_EQ(vae.DecodeNext(latents.narrow(2, t, 1), *state).size(2), 4);
  EXPECT_TRUE(at::equal(first, kept));
}

TEST(VaeStreamingTest, EncodingIsCausal) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor video = Uniform("causal", {1, 3, 13, 32, 32});
  const at::Tensor whole = vae.EncodeMean(video);
  EXPECT_TRUE(at::equal(whole.narrow(2, 0, 1), vae.EncodeMean(video.narrow(2, 0, 1))));
  EXPECT_TRUE(at::equal(whole.narrow(2, 0, 3), vae.EncodeMean(video.narrow(2, 0, 9))));
}

// How far the frames from latent `point` on are from those of the undisturbed video, if the state before
// `point` is rebuilt from `seen` latents alone.
double RebuildError(const Vae& vae, const at::Tensor& latents, const at::Tensor& undisturbed, int64_t point,
                    int64_t seen) {
  const auto state = vae.NewDecoderState();
  double error = 0;
  for (int64_t t = point - seen; t < latents.size(2); ++t) {
    const at::Tensor frames = vae.DecodeNext(latents.narrow(2, t, 1), *state);
    if (t < point) continue;
    error = std::max(error, MaxAbs(frames, undisturbed.narrow(2, 4 * t - 3, 4)));
  }
  return error;
}

struct ReceptiveCase {
  std::string name;
  VaeConfig config;
  int64_t latents;
};

VaeConfig OtherTimeOrder() {
  VaeConfig config = SmallConfig(4, 4, 1);
  config.temperal_downsample = {true, false, true};
  return config;
}

class VaeReceptiveTest : public ::testing::TestWithParam<ReceptiveCase> {
 protected:
  void Check(GeneratedWeights::Kind kind, bool tight) {
    const Vae vae = MakeVae(GetParam().config, kind);
    const int64_t receptive = vae.decoder_receptive_latents();
    ASSERT_EQ(receptive, GetParam().latents);
    const int64_t point = receptive + 4;
    const at::Tensor latents = Latents("receptive", point + 4);
    const at::Tensor undisturbed = vae.Decode(latents);
    // Bit for bit: the same kernels run on the same numbers.
    EXPECT_EQ(RebuildError(vae, latents, undisturbed, point, receptive), 0);
    EXPECT_EQ(RebuildError(vae, latents, undisturbed, point, receptive + 3), 0);
    if (tight) {
      // Rounding alone would leave about 1e-16. Measured: 8e-13 at 38 latents, growing with every latent
      // fewer.
      EXPECT_GT(RebuildError(vae, latents, undisturbed, point, receptive - 1), 1e-14);
    } else {
      EXPECT_GT(RebuildError(vae, latents, undisturbed, point, 4), 1e-4);
    }
  }
};

TEST_P(VaeReceptiveTest, RebuiltStateEqualsTheUndisturbedOne) {
  Check(GeneratedWeights::Kind::kRandom, false);
}
TEST_P(VaeReceptiveTest, OneLatentLessDoesNotSuffice) {
  Check(GeneratedWeights::Kind::kOldestFrameOnly, true);
}

INSTANTIATE_TEST_SUITE_P(Models, VaeReceptiveTest,
                         ::testing::Values(ReceptiveCase{"As5B", SmallConfig(4, 8, 2), 38},
                                           ReceptiveCase{"OneBlock", SmallConfig(4, 4, 1), 30},
                                           ReceptiveCase{"OtherTimeOrder", OtherTimeOrder(), 32}),
                         [](const auto& info) { return info.param.name; });

template <typename F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(VaeStreamingTest, RefusesWrongShapes) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  EXPECT_THAT(ErrorOf([&] {
                (void)vae.EncodeMean(at::zeros({1, 3, 4, 32, 32}));
              }),
              testing::HasSubstr("4k + 1"));
  EXPECT_THAT(ErrorOf([&] { (void)vae.EncodeMean(at::zeros({1, 3, 1, 24, 32})); }), testing::HasSubstr("16"));
  EXPECT_THAT(ErrorOf([&] {
                (void)vae.EncodeMean(at::zeros({1, 4, 1, 32, 32}));
              }),
              testing::HasSubstr("[B, 3"));
  EXPECT_THAT(ErrorOf([&] { (void)vae.Decode(at::zeros({1, 4, 1, 2, 2})); }), testing::HasSubstr("[B, 8"));
  const auto state = vae.NewDecoderState();
  EXPECT_THAT(ErrorOf([&] { (void)vae.DecodeNext(Latents("wrong", 2), *state); }),
              testing::HasSubstr("one latent"));
  (void)vae.DecodeNext(Latents("wrong", 1, 2, 2), *state);
  EXPECT_THAT(ErrorOf([&] { (void)vae.DecodeNext(Latents("wrong", 1, 2, 3), *state); }),
              testing::HasSubstr("shape"));
}

}  // namespace
}  // namespace svi::engine
