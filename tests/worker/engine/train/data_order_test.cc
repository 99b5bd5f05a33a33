#include "worker/engine/train/data_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

namespace svi::engine {
namespace {

using ::testing::ElementsAreArray;

std::vector<int64_t> Positions(uint64_t seed, int64_t samples, int64_t first, int64_t count) {
  DataOrder order(seed, samples);
  std::vector<int64_t> indices;
  for (int64_t k = first; k < first + count; ++k) indices.push_back(order.At(k));
  return indices;
}

TEST(DataOrderTest, EveryEpochHasEverySampleOnceInAnotherOrder) {
  constexpr int64_t kSamples = 11;
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto indices = Positions(5, kSamples, epoch * kSamples, kSamples);
    EXPECT_EQ(std::set<int64_t>(indices.begin(), indices.end()).size(), 11u);
    EXPECT_EQ(*std::max_element(indices.begin(), indices.end()), kSamples - 1);
    orders.insert(indices);
  }
  EXPECT_EQ(orders.size(), 20u);
  EXPECT_NE(Positions(5, kSamples, 0, kSamples), Positions(6, kSamples, 0, kSamples));
}

// A resumed run asks for position k without having asked for those before it.
TEST(DataOrderTest, APositionNeedsNoHistory) {
  const auto all = Positions(7, 5, 0, 40);
  DataOrder jumping(7, 5);
  for (const int64_t k : {33, 2, 39, 0, 14}) EXPECT_EQ(jumping.At(k), all[static_cast<size_t>(k)]) << k;
  EXPECT_THAT(Positions(7, 5, 12, 9), ElementsAreArray(all.begin() + 12, all.begin() + 21));
}

TEST(DataOrderTest, OneSampleAndNone) {
  EXPECT_THAT(Positions(1, 1, 0, 3), ElementsAreArray({0, 0, 0}));
  EXPECT_THROW(DataOrder(1, 0), std::invalid_argument);
}

TEST(SampleGeneratorTest, FollowsFromSeedPositionAndStream) {
  const auto first = [](uint64_t seed, int64_t position, uint64_t stream) {
    at::Generator random = SampleGenerator(seed, position, stream);
    return at::rand({1}, random, at::kDouble).item<double>();
  };
  EXPECT_EQ(first(1, 2, 3), first(1, 2, 3));
  std::set<double> values;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (int64_t position = 0; position < 100; ++position) {
      for (uint64_t stream = 0; stream < 4; ++stream) values.insert(first(seed, position, stream));
    }
  }
  EXPECT_EQ(values.size(), 1600u);
}

}  // namespace
}  // namespace svi::engine
