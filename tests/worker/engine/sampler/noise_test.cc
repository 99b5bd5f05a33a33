#include "worker/engine/sampler/noise.h"

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

// The fixture's bits hold where they were made (AVX2 and later without AVX-512 paths differ in the last place
// of log and cos), so: the last place is allowed to differ, and nothing more.
TEST(InitialNoise, IsTorchsRandnForTheSeed) {
  const auto golden = ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/sampler/sampler.safetensors").tensors;
  const std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {{"3x5", {3, 5}},
                                                                            {"1x2x3x4x5", {1, 2, 3, 4, 5}}};
  for (const uint64_t seed : {uint64_t{0}, uint64_t{42}, ~uint64_t{0}}) {
    for (const auto& [text, shape] : shapes) {
      SCOPED_TRACE(std::to_string(seed) + " " + text);
      const at::Tensor noise = InitialNoise(seed, shape);
      ASSERT_EQ(noise.scalar_type(), at::kFloat);
      const at::Tensor expected = golden.at("noise.seed" + std::to_string(seed) + "." + text);
      EXPECT_TRUE(at::allclose(noise, expected, /*rtol=*/4e-7, /*atol=*/1e-7)) << noise << expected;
    }
  }
}

TEST(InitialNoise, DependsOnTheSeedAlone) {
  EXPECT_TRUE(at::equal(InitialNoise(5, {3, 4, 5}), InitialNoise(5, {3, 4, 5})));
  EXPECT_FALSE(at::equal(InitialNoise(5, {3, 4, 5}), InitialNoise(47, {3, 4, 5})));
}

}  // namespace
}  // namespace svi::engine
