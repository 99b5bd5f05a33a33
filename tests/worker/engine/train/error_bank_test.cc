#include "worker/engine/train/error_bank.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

constexpr uint64_t kErrorBytes = 2 * 2 * 1 * 1 * 2;

// [2, 2, 1, 1], all `value`.
at::Tensor Filled(double value) { return at::full({2, 2, 1, 1}, value, at::kFloat); }

double Value(const at::Tensor& error) { return error.flatten()[0].item<double>(); }

// What a grid holds, in its order.
std::vector<double> Contents(const ErrorBank& bank, int64_t grid) {
  TensorFile file;
  bank.Save(file, "");
  std::vector<double> values;
  for (int64_t i = 0; i < bank.size(grid); ++i) {
    values.push_back(Value(file.tensors.at(std::to_string(grid) + "." + std::to_string(i))));
  }
  return values;
}

class ErrorBankTest : public testing::Test {
 protected:
  void Add(ErrorBank& bank, int64_t grid, double value) {
    EXPECT_TRUE(bank.Add(grid, Filled(value), random_));
  }

  at::Generator random_ = at::detail::createCPUGenerator(3);
};

TEST_F(ErrorBankTest, StoresBfloat16AndDrawsFloat32) {
  ErrorBank bank({.grids = 3});
  EXPECT_FALSE(bank.Draw(1, random_).defined());
  EXPECT_FALSE(bank.DrawFrom({}, random_).defined());
  const at::Tensor error = at::randn({2, 3, 4, 5}, random_);
  ASSERT_TRUE(bank.Add(1, error, random_));
  EXPECT_EQ(bank.size(), 1);
  EXPECT_EQ(bank.size(1), 1);
  EXPECT_EQ(bank.size(0), 0);
  EXPECT_EQ(bank.bytes(), 2U * 3 * 4 * 5 * 2);
  const at::Tensor drawn = bank.Draw(1, random_);
  EXPECT_EQ(drawn.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(drawn, error.to(at::kBFloat16).to(at::kFloat)));
  EXPECT_FALSE(bank.Draw(0, random_).defined());
}

TEST_F(ErrorBankTest, WhatIsDrawnIsACopy) {
  ErrorBank bank({.grids = 1});
  Add(bank, 0, 1.0);
  bank.Draw(0, random_).fill_(9.0);
  EXPECT_EQ(Value(bank.Draw(0, random_)), 1.0);
}

TEST_F(ErrorBankTest, FifoGivesUpTheOldest) {
  ErrorBank bank({.grids = 1, .capacity = 3, .replacement = BankReplacement::kFifo});
  for (int i = 0; i < 5; ++i) Add(bank, 0, i);
  EXPECT_EQ(Contents(bank, 0), (std::vector<double>{2, 3, 4}));
}

TEST_F(ErrorBankTest, RandomReplacesEveryPlaceAtTimes) {
  ErrorBank bank({.grids = 1, .capacity = 4});
  for (int i = 0; i < 4; ++i) Add(bank, 0, -1);
  std::set<int> replaced;
  for (int i = 0; i < 64; ++i) {
    const std::vector<double> before = Contents(bank, 0);
    Add(bank, 0, i);
    const std::vector<double> after = Contents(bank, 0);
    int changes = 0;
    for (int place = 0; place < 4; ++place) {
      if (before[static_cast<size_t>(place)] == after[static_cast<size_t>(place)]) continue;
      ++changes;
      replaced.insert(place);
    }
    EXPECT_EQ(changes, 1);
  }
  EXPECT_EQ(replaced.size(), 4U);
}

TEST_F(ErrorBankTest, BothL2RulesReplaceTheFirstOfTheNearest) {
  for (const BankReplacement rule : {BankReplacement::kL2Similarity, BankReplacement::kL2Batch}) {
    ErrorBank bank({.grids = 1, .capacity = 4, .replacement = rule});
    for (const double value : {0.0, 8.0, 12.0, 8.0}) Add(bank, 0, value);
    Add(bank, 0, 9.0);
    EXPECT_EQ(Contents(bank, 0), (std::vector<double>{0, 9, 12, 8}));
    Add(bank, 0, -100.0);
    EXPECT_EQ(Contents(bank, 0), (std::vector<double>{-100, 9, 12, 8}));
  }
}

// Long enough for partial sums, with a length that is no multiple of their lanes.
TEST_F(ErrorBankTest, DistancesCoverWholeErrors) {
  for (const BankReplacement rule : {BankReplacement::kL2Similarity, BankReplacement::kL2Batch}) {
    ErrorBank bank({.grids = 1, .capacity = 6, .replacement = rule});
    at::Tensor stored;
    std::vector<at::Tensor> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(at::randn({3, 7, 11, 13}, random_));
      ASSERT_TRUE(bank.Add(0, all.back(), random_));
    }
    for (int wanted = 0; wanted < 6; ++wanted) {
      const auto place = static_cast<size_t>(wanted);
      all[place] = all[place] + at::randn(all[place].sizes(), random_) * 0.5;
      ASSERT_TRUE(bank.Add(0, all[place], random_));
      TensorFile file;
      bank.Save(file, "");
      EXPECT_TRUE(at::equal(file.tensors.at("0." + std::to_string(wanted)), all[place].to(at::kBFloat16)));
    }
  }
}

TEST_F(ErrorBankTest, AtTheByteBudgetAGridReplacesBelowItsCapacity) {
  ErrorBank bank(
      {.grids = 2, .capacity = 10, .max_bytes = 3 * kErrorBytes + 1, .replacement = BankReplacement::kFifo});
  for (int i = 0; i < 5; ++i) Add(bank, 0, i);
  EXPECT_EQ(Contents(bank, 0), (std::vector<double>{2, 3, 4}));
  EXPECT_EQ(bank.bytes(), 3 * kErrorBytes);
}

TEST_F(ErrorBankTest, AtTheByteBudgetAnEmptyGridTakesFromTheFullest) {
  ErrorBank bank(
      {.grids = 4, .capacity = 10, .max_bytes = 3 * kErrorBytes, .replacement = BankReplacement::kFifo});
  for (const double value : {1.0, 2.0}) Add(bank, 2, value);
  Add(bank, 1, 3.0);
  Add(bank, 0, 4.0);
  EXPECT_EQ(Contents(bank, 2), (std::vector<double>{2}));
  EXPECT_EQ(Contents(bank, 1), (std::vector<double>{3}));
  EXPECT_EQ(Contents(bank, 0), (std::vector<double>{4}));
  EXPECT_EQ(bank.size(), 3);
  Add(bank, 3, 5.0);  // more grids than places: the first of equally full ones gives way
  EXPECT_EQ(bank.size(0), 0);
  EXPECT_EQ(Contents(bank, 3), (std::vector<double>{5}));
  EXPECT_EQ(bank.bytes(), 3 * kErrorBytes);
}

TEST_F(ErrorBankTest, AllEntriesOfTheGridsAskedForAreEquallyLikely) {
  ErrorBank bank({.grids = 4});
  Add(bank, 0, 0);
  for (int i = 1; i <= 3; ++i) Add(bank, 2, i);
  Add(bank, 3, 4);
  std::vector<int> all(5), some(5);
  constexpr int kDraws = 3000;
  for (int i = 0; i < kDraws; ++i) {
    ++all[static_cast<size_t>(Value(bank.DrawFrom({}, random_)))];
    ++some[static_cast<size_t>(Value(bank.DrawFrom({0, 1, 2}, random_)))];
  }
  // Five standard deviations of a binomial count.
  for (const int count : all) EXPECT_NEAR(count, kDraws / 5.0, 5 * std::sqrt(kDraws * 0.2 * 0.8));
  EXPECT_EQ(some[4], 0);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(some[static_cast<size_t>(i)], kDraws / 4.0, 5 * std::sqrt(kDraws * 0.25 * 0.75));
  }
}

TEST_F(ErrorBankTest, TakesOneRandomNumberWhateverHappens) {
  ErrorBank bank({.grids = 2, .capacity = 1});
  at::Generator counted = at::detail::createCPUGenerator(8);
  at::Generator expected = at::detail::createCPUGenerator(8);
  bank.Draw(0, counted);            // empty
  bank.Add(0, Filled(1), counted);  // appended
  bank.Add(0, Filled(2), counted);  // replaced
  bank.Add(1, Filled(std::nan("")), counted);
  bank.DrawFrom({0, 1}, counted);
  for (int i = 0; i < 5; ++i) Uniform(expected);
  EXPECT_EQ(Uniform(counted), Uniform(expected));
}

TEST_F(ErrorBankTest, ErrorsThatAreNotFiniteAreNotStored) {
  ErrorBank bank({.grids = 1});
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    at::Tensor error = Filled(1);
    error[1][0][0][0] = bad;
    EXPECT_FALSE(bank.Add(0, error, random_));
  }
  EXPECT_EQ(bank.size(), 0);
}

TEST_F(ErrorBankTest, StatisticsFollowReplacements) {
  ErrorBank bank({.grids = 2, .capacity = 3, .replacement = BankReplacement::kFifo});
  EXPECT_EQ(bank.statistics().mean, 0);
  EXPECT_EQ(bank.statistics().std, 0);
  std::vector<at::Tensor> kept;
  for (int i = 0; i < 8; ++i) {
    const at::Tensor error = at::randn({2, 3, 4, 4}, random_) * 2 + 1;
    ASSERT_TRUE(bank.Add(i % 2, error, random_));
    if (i >= 2) kept.push_back(error.to(at::kBFloat16).to(at::kDouble));
  }
  const at::Tensor all = at::stack(kept);
  EXPECT_NEAR(bank.statistics().mean, all.mean().item<double>(), 1e-9);
  EXPECT_NEAR(bank.statistics().std, all.std(/*unbiased=*/false).item<double>(), 1e-9);
}

TEST_F(ErrorBankTest, ALoadedBankGoesOnAsTheSavedOne) {
  for (const BankReplacement rule :
       {BankReplacement::kRandom, BankReplacement::kFifo, BankReplacement::kL2Batch}) {
    const ErrorBankOptions options{.grids = 3, .capacity = 2, .replacement = rule};
    ErrorBank bank(options);
    for (int i = 0; i < 9; ++i) Add(bank, i % 2, i * 3 % 7);
    TensorFile file;
    bank.Save(file, "bank.");
    ErrorBank loaded(options);
    loaded.Load(ParseSafetensors(SerializeSafetensors(file), "a test"), "bank.");
    EXPECT_EQ(loaded.size(), bank.size());
    EXPECT_EQ(loaded.statistics().std, bank.statistics().std);
    at::Generator random = random_.clone();
    for (int i = 0; i < 7; ++i) {
      EXPECT_EQ(Value(loaded.DrawFrom({}, random)), Value(bank.DrawFrom({}, random_)));
      ASSERT_TRUE(loaded.Add(i % 3, Filled(10 + i), random));
      ASSERT_TRUE(bank.Add(i % 3, Filled(10 + i), random_));
    }
    for (const int64_t grid : {0, 1, 2}) EXPECT_EQ(Contents(loaded, grid), Contents(bank, grid));
  }
}

TEST_F(ErrorBankTest, LoadRefusesWhatIsNotItsOwn) {
  ErrorBank bank({.grids = 2, .capacity = 3});
  for (int i = 0; i < 3; ++i) Add(bank, 1, i);
  TensorFile good;
  bank.Save(good, "");
  const auto refused = [&](const TensorFile& file, const ErrorBankOptions& options) {
    ErrorBank loaded(options);
    EXPECT_THROW(loaded.Load(file, ""), std::invalid_argument);
    EXPECT_EQ(loaded.size(), 0);
  };
  refused({}, {.grids = 2});
  refused(good, {.grids = 3});
  refused(good, {.grids = 2, .capacity = 2});
  refused(good, {.grids = 2, .max_bytes = 2 * kErrorBytes});
  TensorFile bad = good;
  bad.tensors.erase("1.2");
  refused(bad, {.grids = 2});
  bad = good;
  bad.tensors["1.2"] = Filled(1);  // float32
  refused(bad, {.grids = 2});
  bad = good;
  bad.tensors["1.2"] = at::zeros({1, 2, 1, 1}, at::kBFloat16);  // another shape
  refused(bad, {.grids = 2});
}

TEST_F(ErrorBankTest, RefusesBadArguments) {
  EXPECT_THROW(ErrorBank({.grids = 0}), std::invalid_argument);
  EXPECT_THROW(ErrorBank({.capacity = 0}), std::invalid_argument);
  ErrorBank bank({.grids = 2, .max_bytes = kErrorBytes - 1});
  EXPECT_THROW(bank.Add(0, Filled(1), random_), std::invalid_argument);  // not even one fits
  ErrorBank roomy({.grids = 2});
  EXPECT_THROW(roomy.Add(2, Filled(1), random_), std::invalid_argument);
  EXPECT_THROW(roomy.Add(-1, Filled(1), random_), std::invalid_argument);
  EXPECT_THROW(roomy.Add(0, Filled(1).to(at::kDouble), random_), std::invalid_argument);
  EXPECT_THROW(roomy.Add(0, Filled(1)[0], random_), std::invalid_argument);
  Add(roomy, 0, 1);
  EXPECT_THROW(roomy.Add(0, at::zeros({2, 3, 1, 1}), random_), std::invalid_argument);
  EXPECT_THROW(roomy.DrawFrom({0, 2}, random_), std::invalid_argument);
}

// Against the reference's own buffers (tests/golden/train/make_bank_fixtures.py), entry by entry. The grids
// come from the training index as in a run.
TEST(ErrorBankGoldenTest, ContentsEqualTheReference) {
  const auto golden = ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/train/bank.safetensors").tensors;
  const std::vector<int64_t> grid_of = MakeTrainSchedule(5.0).grids;
  at::Generator random = at::detail::createCPUGenerator(0);
  for (const auto& [name, rule] :
       std::map<std::string, BankReplacement>{{"fifo", BankReplacement::kFifo},
                                              {"l2_similarity", BankReplacement::kL2Similarity},
                                              {"l2_batch", BankReplacement::kL2Batch}}) {
    SCOPED_TRACE(name);
    ErrorBank bank({.capacity = 4, .replacement = rule});
    const at::Tensor& ids = golden.at("ids");
    for (int64_t i = 0; i < ids.numel(); ++i) {
      const int64_t grid = grid_of.at(static_cast<size_t>(ids[i].item<int64_t>()));
      ASSERT_TRUE(bank.Add(grid, golden.at("errors")[i], random));
    }
    TensorFile file;
    bank.Save(file, "");
    int64_t compared = 0;
    for (const auto& [key, expected] : golden) {
      if (key.rfind(name + ".", 0) != 0) continue;
      const std::string grid = key.substr(name.size() + 1);
      for (int64_t i = 0; i < expected.size(0); ++i, ++compared) {
        const at::Tensor& stored = file.tensors.at(grid + "." + std::to_string(i));
        EXPECT_TRUE(at::equal(stored.to(at::kFloat), expected[i])) << "grid " << grid << " entry " << i;
      }
    }
    EXPECT_EQ(compared, bank.size());
    EXPECT_EQ(compared, 20);
  }
}

}  // namespace
}  // namespace svi::engine
