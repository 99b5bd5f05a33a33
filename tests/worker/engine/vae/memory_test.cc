// What a VAE and its decoder's state keep in memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/worker/engine/vae/generated.h"
#include "tests/worker/engine/vae/live_bytes.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {
namespace {

std::unique_ptr<Vae> MakeVae(const VaeConfig& config) {
  GeneratedWeights weights;
  return std::make_unique<Vae>(config, weights);
}

// Hands out the generated weights as views of memory that is not the allocator's, as of a mapped file.
class MappedWeights : public GeneratedWeights {
 public:
  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override {
    at::Tensor kept = GeneratedWeights::Take(name, shape).contiguous();
    ++views_;
    return at::from_blob(
        kept.data_ptr(), shape, [kept, this](void*) { --views_; }, kept.options());
  }
  int64_t views() const { return views_; }

 private:
  int64_t views_ = 0;
};

TEST(VaeMemoryTest, NothingOfAMappedFileStaysInUse) {
  MappedWeights weights;
  const VaeConfig config = SmallConfig(4, 8, 1);
  const Vae vae(config, weights);
  EXPECT_EQ(weights.views(), 0);
  const at::Tensor latents = 2 * Uniform("mapped", {1, 8, 2, 2, 2});
  EXPECT_TRUE(at::equal(vae.Decode(latents), MakeVae(config)->Decode(latents)));
}

class VaeStateTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(VaeStateTest, OutlivesItsVaeAndGoesOnWithAnother) {
  const VaeConfig config = SmallConfig(4, 8, 2);
  const at::Tensor latents = 2 * Uniform("outlives", {1, 8, 5, 3, 4});
  auto vae = MakeVae(config);
  const at::Tensor whole = vae->Decode(latents, GetParam());
  const auto state = vae->NewDecoderState(GetParam());
  std::vector<at::Tensor> frames;
  for (int64_t t = 0; t < 5; ++t) {
    frames.push_back(vae->DecodeNext(latents.narrow(2, t, 1), *state));
    vae.reset();
    vae = MakeVae(config);
  }
  EXPECT_TRUE(at::equal(at::cat(frames, 2), whole));
}

TEST_P(VaeStateTest, HoldsNoWeights) {
  const LiveBytes live;
  auto vae = MakeVae(SmallConfig(4, 16, 2));
  const int64_t weights = live.now();
  const at::Tensor latents = 2 * Uniform("holds", {1, 8, 2, 1, 2});
  const auto state = vae->NewDecoderState(GetParam());
  for (int64_t t = 0; t < 2; ++t) (void)vae->DecodeNext(latents.narrow(2, t, 1), *state);
  const int64_t with_state = live.now();
  vae.reset();
  EXPECT_GT(live.now(), 0);
  EXPECT_EQ(with_state - live.now(), weights);
}

INSTANTIATE_TEST_SUITE_P(Tiles, VaeStateTest, ::testing::Values(0, 1),
                         [](const auto& info) { return info.param == 0 ? "Untiled" : "Tiled"; });

}  // namespace
}  // namespace svi::engine
