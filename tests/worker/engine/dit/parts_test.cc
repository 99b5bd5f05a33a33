#include <c10/core/InferenceMode.h>

#include <cmath>

#include "worker/engine/dit/rope.h"
#include "worker/engine/dit/timesteps.h"

namespace svi::engine {
namespace {

TEST(Sinusoid, IsCosThenSinWithAnglesInDouble) {
  const at::Tensor s = Sinusoid(at::tensor({999.8, 0.0}, at::kDouble), 256);
  ASSERT_EQ(s.sizes(), at::IntArrayRef({2, 256}));
  ASSERT_EQ(s.scalar_type(), at::kFloat);
  for (const int64_t i : {0, 1, 64, 127}) {
    const double angle = 999.8 * std::pow(10000.0, -static_cast<double>(i) / 128);
    EXPECT_NEAR(s[0][i].item<double>(), std::cos(angle), 1e-7)
        << i;  // float angles would miss this by up to 6e-5
    EXPECT_NEAR(s[0][128 + i].item<double>(), std::sin(angle), 1e-7) << i;
  }
  EXPECT_TRUE(at::equal(s[1], at::cat({at::ones({128}), at::zeros({128})})));
}

// 32 splits 12 / 10 / 10, so that an axis out of place shows.
TEST(Rotations, TurnEachAxisByItsOwnPosition) {
  const TokenGrid grid{3, 4, 5};
  const at::Tensor rotations = MakeRotations(grid, 32);
  ASSERT_EQ(rotations.sizes(), at::IntArrayRef({60, 1, 16}));
  const int64_t frame = 2, row = 3, column = 4;
  const at::Tensor angles = at::angle(rotations[(frame * 4 + row) * 5 + column][0]);
  const auto expect = [&](int64_t pair, double angle) {
    EXPECT_NEAR(angles[pair].item<double>(), std::remainder(angle, 2 * M_PI), 1e-6) << pair;
  };
  for (int64_t j = 0; j < 6; ++j) expect(j, frame * std::pow(10000.0, -2.0 * j / 12));
  for (int64_t j = 0; j < 5; ++j) expect(6 + j, row * std::pow(10000.0, -2.0 * j / 10));
  for (int64_t j = 0; j < 5; ++j) expect(11 + j, column * std::pow(10000.0, -2.0 * j / 10));
}

TEST(Rotations, TurnNeighbouringValuesTogether) {
  const at::Tensor quarter = at::complex(at::zeros({1, 1, 2}), at::ones({1, 1, 2}));
  const at::Tensor x = at::tensor({1.f, 2.f, 3.f, 4.f}).view({1, 1, 1, 4});
  EXPECT_TRUE(at::equal(Rotate(x, quarter).flatten(), at::tensor({-2.f, 1.f, -4.f, 3.f})));
  EXPECT_EQ(Rotate(x.to(at::kBFloat16), quarter).scalar_type(), at::kBFloat16);
}

TEST(RotationCache, RemembersTheLastGridsAndGivesTensorsThatTrainingCanUse) {
  RotationCache cache(24);
  at::Tensor first;
  {
    const c10::InferenceMode inference;
    first = cache.Get({2, 3, 4}, at::kCPU);
  }
  EXPECT_FALSE(first.is_inference());
  cache.Get({2, 3, 5}, at::kCPU);
  EXPECT_TRUE(cache.Get({2, 3, 4}, at::kCPU).is_same(first));
  EXPECT_TRUE(at::equal(first, MakeRotations({2, 3, 4}, 24)));
  cache.Get({2, 3, 6}, at::kCPU);
  EXPECT_FALSE(cache.Get({2, 3, 4}, at::kCPU).is_same(first)) << "two grids are kept";
}

TEST(DistinctTimesteps, FindsTheFewOfEachRow) {
  const auto found = FindDistinctTimesteps(at::tensor({0., 7.5, 7.5, 7.5, 3., 0., 3., 9.}).view({2, 4}), 4);
  ASSERT_EQ(found.values.sizes(), at::IntArrayRef({2, 3}));
  const at::Tensor back = found.values.gather(1, found.row_of_token);
  EXPECT_TRUE(at::equal(back, at::tensor({0., 7.5, 7.5, 7.5, 3., 0., 3., 9.}, at::kDouble).view({2, 4})));
  EXPECT_EQ(std::get<0>(at::_unique2(found.values[0])).numel(), 2)
      << "the spare value repeats one of the row's";
}

TEST(DistinctTimesteps, OneForAllTokensIsOneRow) {
  const auto found = FindDistinctTimesteps(at::tensor({int64_t{999}, int64_t{312}}), 6);
  EXPECT_TRUE(at::equal(found.values, at::tensor({999., 312.}, at::kDouble).view({2, 1})));
  EXPECT_TRUE(at::equal(found.row_of_token, at::zeros({2, 6}, at::kLong)));
}

}  // namespace
}  // namespace svi::engine
