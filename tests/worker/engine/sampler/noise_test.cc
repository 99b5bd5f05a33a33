#include "worker/engine/sampler/noise.h"

#include <ATen/Version.h>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

TEST(InitialNoise, IsTorchsRandnForTheSeedBitForBit) {
  // Torch itself is only bit for bit the same on CPUs that it has the same kernels for.
  const std::string capability = at::get_cpu_capability();
  const auto golden = ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/sampler/sampler.safetensors").tensors;
  const std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
      {"3x5", {3, 5}}, {"16", {16}}, {"17", {17}}, {"3x11", {3, 11}}, {"1x2x3x4x5", {1, 2, 3, 4, 5}}};
  for (const uint64_t seed : {uint64_t{0}, uint64_t{42}, ~uint64_t{0}}) {
    for (const auto& [text, shape] : shapes) {
      const std::string name = "noise." + capability + ".seed" + std::to_string(seed) + "." + text;
      SCOPED_TRACE(name);
      if (!golden.contains(name)) GTEST_SKIP() << "no fixture for this CPU: " << capability;
      const at::Tensor noise = InitialNoise(seed, shape);
      ASSERT_EQ(noise.scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(noise, golden.at(name))) << noise << golden.at(name);
    }
  }
}

TEST(InitialNoise, DependsOnTheSeedAlone) {
  EXPECT_TRUE(at::equal(InitialNoise(5, {3, 4, 5}), InitialNoise(5, {3, 4, 5})));
  EXPECT_FALSE(at::equal(InitialNoise(5, {3, 4, 5}), InitialNoise(47, {3, 4, 5})));
}

}  // namespace
}  // namespace svi::engine
