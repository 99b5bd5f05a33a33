// Decoding in tiles: the untiled frames, in less memory.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "tests/worker/engine/vae/generated.h"
#include "tests/worker/engine/vae/live_bytes.h"
#include "worker/engine/vae/region.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

// Measured: at most 2.5e-6; a border of zeros where there is more picture costs over 0.1.
constexpr double kTolerance = 2e-5;

Vae MakeVae(const VaeConfig& config) {
  GeneratedWeights weights;
  return Vae(config, weights);
}

at::Tensor Latents(const std::string& name, int64_t frames, int64_t height, int64_t width) {
  return 2 * Uniform(name, {1, 8, frames, height, width});
}

VaeConfig OtherTimeOrder() {
  VaeConfig config = SmallConfig(4, 4, 1);
  config.temperal_downsample = {true, false, true};
  return config;
}

struct TilingCase {
  std::string name;
  VaeConfig config;
};

class VaeTilingTest : public ::testing::TestWithParam<TilingCase> {
 protected:
  void Check(int64_t height, int64_t width, int64_t frames, std::initializer_list<int64_t> tiles) {
    const Vae vae = MakeVae(GetParam().config);
    const at::Tensor latents = Latents("tiling", frames, height, width);
    const at::Tensor untiled = vae.Decode(latents);
    for (const int64_t tile : tiles) {
      const at::Tensor tiled = vae.Decode(latents, tile);
      ASSERT_EQ(tiled.sizes(), untiled.sizes());
      EXPECT_LE(MaxAbs(tiled, untiled), kTolerance) << "tile " << tile;
    }
  }
};

TEST_P(VaeTilingTest, OddPicturesEqualTheUntiledOnes) { Check(13, 9, 2, {4, 5, 8}); }
TEST_P(VaeTilingTest, WidePicturesEqualTheUntiledOnes) { Check(3, 22, 2, {3, 7}); }
TEST_P(VaeTilingTest, TilesOfOneLatentEqualTheUntiledPicture) { Check(3, 5, 2, {1, 2}); }
TEST_P(VaeTilingTest, TilesLargerThanThePictureEqualIt) {
  Check(4, 3, 2, {4, 64, std::numeric_limits<int64_t>::max()});
}

TEST_P(VaeTilingTest, TiledStateRebuiltFromReceptiveLatentsIsTheUndisturbedOne) {
  const Vae vae = MakeVae(GetParam().config);
  const int64_t receptive = vae.decoder_receptive_latents(), point = receptive + 2;
  const at::Tensor latents = Latents("rebuilt", point + 2, 1, 3);
  const auto undisturbed = vae.NewDecoderState(2), rebuilt = vae.NewDecoderState(2);
  for (int64_t t = 0; t < point; ++t) {
    (void)vae.DecodeNext(latents.narrow(2, t, 1), *undisturbed);
    if (t >= point - receptive) (void)vae.DecodeNext(latents.narrow(2, t, 1), *rebuilt);
  }
  for (int64_t t = point; t < point + 2; ++t) {
    EXPECT_TRUE(at::equal(vae.DecodeNext(latents.narrow(2, t, 1), *undisturbed),
                          vae.DecodeNext(latents.narrow(2, t, 1), *rebuilt)));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, VaeTilingTest,
                         ::testing::Values(TilingCase{"As5B", SmallConfig(4, 8, 2)},
                                           TilingCase{"OneBlock", SmallConfig(4, 4, 1)},
                                           TilingCase{"OtherTimeOrder", OtherTimeOrder()}),
                         [](const auto& info) { return info.param.name; });

TEST(VaeTilesTest, BatchesAreTiledToo) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor latents = 2 * Uniform("batch", {2, 8, 2, 5, 9});
  EXPECT_LE(MaxAbs(vae.Decode(latents, 3), vae.Decode(latents)), kTolerance);
}

TEST(VaeTilesTest, StreamedTilesEqualDecodedOnes) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  const at::Tensor latents = Latents("streamed", 3, 5, 9);
  const auto state = vae.NewDecoderState(4);
  std::vector<at::Tensor> frames;
  for (int64_t t = 0; t < 3; ++t) frames.push_back(vae.DecodeNext(latents.narrow(2, t, 1), *state));
  EXPECT_TRUE(at::equal(at::cat(frames, 2), vae.Decode(latents, 4)));
}

TEST(VaeTilesTest, ANegativeTileIsRefused) {
  const Vae vae = MakeVae(SmallConfig(4, 4, 1));
  EXPECT_THROW((void)vae.NewDecoderState(-1), std::invalid_argument);
  EXPECT_THROW((void)vae.Decode(Latents("negative", 1, 2, 2), -8), std::invalid_argument);
}

struct DecodingBytes {
  double peak;
  double state;  // what is remembered afterwards
};

DecodingBytes Measure(const Vae& vae, const at::Tensor& latents, int64_t tile) {
  const LiveBytes live;
  const auto state = vae.NewDecoderState(tile);
  for (int64_t t = 0; t < latents.size(2); ++t) (void)vae.DecodeNext(latents.narrow(2, t, 1), *state);
  return {static_cast<double>(live.peak()), static_cast<double>(live.now())};
}

TEST(VaeTilesTest, PeakMemoryFalls) {
  const Vae vae = MakeVae(SmallConfig(4, 8, 2));
  const at::Tensor latents = Latents("peak", 2, 24, 40);
  const DecodingBytes untiled = Measure(vae, latents, 0), tiled = Measure(vae, latents, 12);
  // Measured: 0.72, 0.33 and 1.22. What the convolutions remember grows by the tiles' overlap; all else
  // shrinks.
  EXPECT_LT(tiled.peak, 0.8 * untiled.peak);
  EXPECT_LT(tiled.peak - tiled.state, 0.5 * (untiled.peak - untiled.state));
  EXPECT_LT(tiled.state, 1.5 * untiled.state);
}

TEST(VaeTilesTest, PartsCoverThePictureOnce) {
  for (const int64_t side : {0, 1, 4, 5, 8, 64}) {
    at::Tensor seen = at::zeros({1, 1, 13, 9, 1});
    const Region whole{{0, 13, 13}, {0, 9, 9}};
    for (const Region& tile : Tiles(13, 9, side)) {
      EXPECT_LE(std::max(tile.rows.length(), tile.columns.length()), side == 0 ? 13 : side);
      Part(seen, whole, tile).add_(1);
    }
    EXPECT_TRUE(at::equal(seen, at::ones_like(seen))) << side;
  }
}

}  // namespace
}  // namespace svi::engine
