#include "worker/engine/train/error_recycling.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

constexpr int64_t kSlots = 5;  // T
constexpr int64_t kHistory = 2;
constexpr int64_t kEarly = 0, kMiddle = 500, kLate = 999;  // training indices of different grids

// Every option on, never clean: each test takes away what it is not about.
ErrorRecyclingOptions Always() {
  ErrorRecyclingOptions options;
  options.noise_prob = options.latent_prob = options.y_prob = 1;
  options.clean_prob = 0;
  options.clean_buffer_update_prob = 0;
  return options;
}

// [2, T, 1, 3], slot t holding value + t / 8: bfloat16 keeps it exactly below 32.
at::Tensor Slots(double value) {
  return (at::arange(kSlots, at::kFloat) / 8 + value)
      .view({1, kSlots, 1, 1})
      .expand({2, kSlots, 1, 3})
      .contiguous();
}

class ErrorRecyclingTest : public testing::Test {
 protected:
  bool Collect(ErrorRecycling& recycling, int64_t index, double latent, double noise, bool clean = false) {
    return recycling.Collect(index, clean, Slots(latent), Slots(noise), random_);
  }

  at::Generator random_ = at::detail::createCPUGenerator(21);
};

TEST_F(ErrorRecyclingTest, EmptyBanksGiveNoErrors) {
  ErrorRecycling recycling(Always(), 5.0);
  const Injection injection = recycling.Draw(kMiddle, kHistory, random_);
  EXPECT_FALSE(injection.clean);
  EXPECT_FALSE(injection.noise_error.defined());
  EXPECT_FALSE(injection.latent_error.defined());
  EXPECT_FALSE(injection.history_error.defined());
}

TEST_F(ErrorRecyclingTest, EachErrorComesFromItsOwnBankAndGrid) {
  ErrorRecyclingOptions options = Always();
  options.use_last_y_error = true;
  ErrorRecycling recycling(options, 5.0);
  ASSERT_TRUE(Collect(recycling, kMiddle, 16, 24));
  ASSERT_TRUE(Collect(recycling, kLate, -16, -24));
  const Injection injection = recycling.Draw(kMiddle, kHistory, random_);
  EXPECT_TRUE(at::equal(injection.noise_error, Slots(24)));
  EXPECT_TRUE(at::equal(injection.latent_error, Slots(16)));
  // Nothing of this grid: the history's error, from all grids, is there nevertheless. The reference would
  // drop it, for it asks for each error whether the *noise* bank of this grid holds something.
  const Injection elsewhere = recycling.Draw(kEarly, kHistory, random_);
  EXPECT_FALSE(elsewhere.noise_error.defined());
  EXPECT_FALSE(elsewhere.latent_error.defined());
  ASSERT_TRUE(elsewhere.history_error.defined());
  EXPECT_EQ(elsewhere.history_error.sizes(), (at::IntArrayRef{2, kHistory, 1, 3}));
}

TEST_F(ErrorRecyclingTest, HistoryErrorsComeFromWhereTheOptionSays) {
  const auto sources = [&](ErrorRecyclingOptions options) {
    options.use_last_y_error = true;
    options.y_error_num = 1;
    ErrorRecycling recycling(options, 5.0);
    for (const auto& [index, value] : {std::pair{kEarly, 16.0}, {kMiddle, 32.0}, {kLate, 48.0}}) {
      EXPECT_TRUE(Collect(recycling, index, value, 0));
    }
    std::set<double> found;
    for (int i = 0; i < 60; ++i) {
      const at::Tensor error = recycling.Draw(kMiddle, kHistory, random_).history_error;
      found.insert(error.defined() ? error.flatten()[0].item<double>() - 0.5 : 0.0);
    }
    return found;
  };
  ErrorRecyclingOptions options = Always();
  EXPECT_EQ(sources(options), (std::set<double>{16, 32, 48}));
  options.y_error_sample_from = HistoryErrorSource::kCurrentGrid;
  EXPECT_EQ(sources(options), (std::set<double>{32}));
  // With shift 5 the training indices 0, 500 and 999 are t = 1000, 833 and 5.0; the last one's grid, the
  // lowest, has t = 92.6. The range is of the grids' timesteps, both ends included.
  options.y_error_sample_from = HistoryErrorSource::kTimestepRange;
  options.y_error_timestep_min = 50;
  options.y_error_timestep_max = 900;
  EXPECT_EQ(sources(options), (std::set<double>{32, 48}));
  options.y_error_timestep_min = 900;
  options.y_error_timestep_max = 1000;
  EXPECT_EQ(sources(options), (std::set<double>{16}));
  options.y_error_timestep_min = 200;
  options.y_error_timestep_max = 300;
  EXPECT_EQ(sources(options), (std::set<double>{0}));  // grids there are, but they hold nothing
  options.y_error_timestep_min = 0;
  options.y_error_timestep_max = 50;
  EXPECT_THROW(sources(options), std::invalid_argument);
}

TEST_F(ErrorRecyclingTest, HistoryErrorIsAContiguousWindow) {
  const auto windows = [&](int64_t wanted, bool last, int64_t history_slots) {
    ErrorRecyclingOptions options = Always();
    options.y_error_num = wanted;
    options.use_last_y_error = last;
    ErrorRecycling recycling(options, 5.0);
    EXPECT_TRUE(Collect(recycling, kMiddle, 16, 0));
    std::set<int64_t> offsets;
    for (int i = 0; i < 80; ++i) {
      const at::Tensor error = recycling.Draw(kMiddle, history_slots, random_).history_error;
      const auto offset = static_cast<int64_t>((error.flatten()[0].item<double>() - 16) * 8);
      const int64_t length = wanted == 0 ? history_slots : std::min(wanted, history_slots);
      EXPECT_TRUE(at::equal(error, Slots(16).narrow(1, offset, std::min(length, kSlots))));
      offsets.insert(offset);
    }
    return offsets;
  };
  EXPECT_EQ(windows(0, false, 2), (std::set<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(windows(1, false, 2), (std::set<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(windows(2, true, 2), (std::set<int64_t>{3}));
  EXPECT_EQ(windows(2, false, 1), (std::set<int64_t>{0, 1, 2, 3, 4}));  // no more than there is history
  EXPECT_EQ(windows(0, false, 9), (std::set<int64_t>{0}));              // nor than an error has
}

TEST_F(ErrorRecyclingTest, FirstClipsHaveNoHistoryToCorrupt) {
  ErrorRecycling recycling(Always(), 5.0);
  ASSERT_TRUE(Collect(recycling, kMiddle, 16, 32));
  const Injection injection = recycling.Draw(kMiddle, 0, random_);
  EXPECT_FALSE(injection.history_error.defined());
  EXPECT_TRUE(injection.latent_error.defined());
}

TEST_F(ErrorRecyclingTest, ProbabilitiesAreIndependentAndCleanSwitchesAllOff) {
  ErrorRecyclingOptions options = Always();
  options.noise_prob = 0.25;
  options.latent_prob = 0.6;
  options.y_prob = 0.9;
  options.clean_prob = 0.2;
  ErrorRecycling recycling(options, 5.0);
  ASSERT_TRUE(Collect(recycling, kMiddle, 16, 32));
  constexpr int kDraws = 4000;
  int noise_and_latent = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Injection injection = recycling.Draw(kMiddle, kHistory, random_);
    if (injection.clean) {
      EXPECT_FALSE(injection.noise_error.defined() || injection.latent_error.defined() ||
                   injection.history_error.defined());
    }
    noise_and_latent += injection.noise_error.defined() && injection.latent_error.defined() ? 1 : 0;
  }
  // Five standard deviations of a binomial count.
  const auto expect_share = [](int64_t count, double share) {
    EXPECT_NEAR(static_cast<double>(count), kDraws * share, 5 * std::sqrt(kDraws * share * (1 - share)));
  };
  const RecyclingCounters& counters = recycling.counters();
  EXPECT_EQ(counters.samples, kDraws);
  expect_share(counters.clean, 0.2);
  expect_share(counters.noise_errors, 0.8 * 0.25);
  expect_share(counters.latent_errors, 0.8 * 0.6);
  expect_share(counters.history_errors, 0.8 * 0.9);
  expect_share(noise_and_latent, 0.8 * 0.25 * 0.6);
}

TEST_F(ErrorRecyclingTest, WhatIsDrawnNextDoesNotDependOnTheBanksOrTheOptions) {
  ErrorRecyclingOptions off = Always();
  off.noise_prob = off.latent_prob = off.y_prob = 0;
  off.clean_prob = 1;
  ErrorRecyclingOptions gaussian = Always();
  gaussian.injected_error = InjectedError::kGaussian;
  gaussian.error_modulate_factor = 0.5;
  ErrorRecycling nothing(off, 5.0), empty(Always(), 5.0), full(Always(), 5.0), noisy(gaussian, 5.0);
  for (ErrorRecycling* recycling : {&full, &noisy}) ASSERT_TRUE(Collect(*recycling, kMiddle, 16, 32));
  std::set<double> next;
  for (ErrorRecycling* recycling : {&nothing, &empty, &full, &noisy}) {
    for (const int64_t history_slots : {int64_t{0}, kHistory}) {
      at::Generator random = at::detail::createCPUGenerator(77);
      recycling->Draw(kMiddle, history_slots, random);
      next.insert(Uniform(random));
    }
  }
  EXPECT_EQ(next.size(), 1U);
}

TEST_F(ErrorRecyclingTest, ErrorsAreScaledEachOnItsOwn) {
  ErrorRecyclingOptions options = Always();
  options.error_modulate_factor = 0.25;
  ErrorRecycling recycling(options, 5.0);
  ASSERT_TRUE(Collect(recycling, kMiddle, 16, 16));
  double least = 2, greatest = 0;
  for (int i = 0; i < 200; ++i) {
    const Injection injection = recycling.Draw(kMiddle, kHistory, random_);
    const double scale = injection.latent_error.flatten()[0].item<double>() / 16;
    EXPECT_TRUE(at::allclose(injection.latent_error, Slots(16) * scale));
    EXPECT_NE(scale, injection.noise_error.flatten()[0].item<double>() / 16);
    least = std::min(least, scale);
    greatest = std::max(greatest, scale);
  }
  EXPECT_GE(least, 0.75);
  EXPECT_LT(least, 0.8);
  EXPECT_GT(greatest, 1.2);
  EXPECT_LE(greatest, 1.25);
}

TEST_F(ErrorRecyclingTest, GaussianControlMatchesTheRootMeanSquareOnly) {
  ErrorRecyclingOptions banked = Always();
  banked.use_last_y_error = true;
  ErrorRecyclingOptions gaussian = banked;
  gaussian.injected_error = InjectedError::kGaussian;
  ErrorRecycling real(banked, 5.0), control(gaussian, 5.0);
  at::Tensor error = at::randn({16, kSlots, 24, 24}, random_) + 1;
  error.narrow(1, kSlots - kHistory, kHistory).mul_(3);  // slots differ in strength
  for (ErrorRecycling* recycling : {&real, &control}) {
    ASSERT_TRUE(recycling->Collect(kMiddle, false, error, error * 0.5, random_));
  }
  at::Generator random = random_.clone(), again = random_.clone();
  const Injection a = real.Draw(kMiddle, kHistory, random_), b = control.Draw(kMiddle, kHistory, random);
  for (const auto& [true_error, noise] : {std::pair{a.noise_error, b.noise_error},
                                          {a.latent_error, b.latent_error},
                                          {a.history_error, b.history_error}}) {
    ASSERT_EQ(noise.sizes(), true_error.sizes());
    const double rms = true_error.square().mean().sqrt().item<double>();
    EXPECT_NEAR(noise.square().mean().sqrt().item<double>(), rms, 0.03 * rms);
    EXPECT_NEAR(noise.mean().item<double>(), 0, 0.05 * rms);
  }
  EXPECT_TRUE(at::equal(control.Draw(kMiddle, kHistory, again).history_error, b.history_error));
}

TEST_F(ErrorRecyclingTest, CleanSamplesAreBankedAtTimesOthersAlways) {
  ErrorRecyclingOptions options = Always();
  options.clean_buffer_update_prob = 0.1;
  options.buffer_size = 10'000;
  ErrorRecycling recycling(options, 5.0);
  constexpr int kSamples = 2000;
  int clean_banked = 0;
  for (int i = 0; i < kSamples; ++i) {
    EXPECT_TRUE(Collect(recycling, kMiddle, 1, 2));
    clean_banked += Collect(recycling, kLate, 3, 4, /*clean=*/true) ? 1 : 0;
  }
  EXPECT_NEAR(clean_banked, kSamples * 0.1, 5 * std::sqrt(kSamples * 0.1 * 0.9));
  EXPECT_EQ(recycling.counters().banked, kSamples + clean_banked);
  EXPECT_EQ(recycling.counters().skipped, kSamples - clean_banked);
  EXPECT_EQ(recycling.latent_bank().size(49), clean_banked);
  EXPECT_EQ(recycling.noise_bank()->size(49), clean_banked);
}

// "Clean" is what was drawn, not what came of it: else the banks would hardly fill.
TEST_F(ErrorRecyclingTest, ASampleThatFoundEmptyBanksIsBanked) {
  ErrorRecycling recycling(Always(), 5.0);
  const Injection injection = recycling.Draw(kMiddle, kHistory, random_);
  ASSERT_FALSE(injection.history_error.defined());
  EXPECT_TRUE(Collect(recycling, kMiddle, 1, 2, injection.clean));
}

TEST_F(ErrorRecyclingTest, CollectTakesTheSameRandomNumbersBankedOrNot) {
  ErrorRecycling recycling(Always(), 5.0);  // clean samples are never banked
  at::Generator banked = at::detail::createCPUGenerator(5), skipped = at::detail::createCPUGenerator(5);
  EXPECT_TRUE(recycling.Collect(kMiddle, false, Slots(1), Slots(2), banked));
  EXPECT_FALSE(recycling.Collect(kMiddle, true, Slots(1), Slots(2), skipped));
  EXPECT_EQ(Uniform(banked), Uniform(skipped));
}

TEST_F(ErrorRecyclingTest, ErrorsThatAreNotFiniteAreSkipped) {
  ErrorRecycling recycling(Always(), 5.0);
  EXPECT_FALSE(Collect(recycling, kMiddle, std::nan(""), std::nan("")));
  EXPECT_EQ(recycling.counters().skipped, 1);
  EXPECT_EQ(recycling.latent_bank().size(), 0);
}

TEST_F(ErrorRecyclingTest, WithoutNoiseErrorsTheLatentBankHasAllBytes) {
  ErrorRecyclingOptions options = Always();
  const uint64_t error_bytes = 2 * kSlots * 3 * 2;
  options.buffer_bytes = 8 * error_bytes;
  ErrorRecycling both(options, 5.0);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Collect(both, kMiddle, i, i));
  EXPECT_EQ(both.latent_bank().size(), 4);
  EXPECT_EQ(both.noise_bank()->size(), 4);
  options.noise_prob = 0;
  ErrorRecycling one(options, 5.0);
  EXPECT_EQ(one.noise_bank(), nullptr);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(one.Collect(kMiddle, false, Slots(i), {}, random_));
  EXPECT_EQ(one.latent_bank().size(), 8);
  EXPECT_FALSE(one.Draw(kMiddle, kHistory, random_).noise_error.defined());
}

TEST_F(ErrorRecyclingTest, ALoadedRunGoesOnAsTheSavedOne) {
  ErrorRecyclingOptions options = Always();
  options.noise_prob = options.latent_prob = 0.5;
  options.clean_prob = 0.3;
  options.clean_buffer_update_prob = 0.5;
  options.buffer_size = 2;
  ErrorRecycling run(options, 5.0);
  const auto step = [](ErrorRecycling& recycling, int64_t i, at::Generator& random) {
    const int64_t index = std::array{kEarly, kMiddle, kLate}.at(static_cast<size_t>(i % 3));
    Injection injection = recycling.Draw(index, kHistory, random);
    const auto value = static_cast<double>(i);
    recycling.Collect(index, injection.clean, Slots(value), Slots(-value), random);
    return injection;
  };
  for (int64_t i = 0; i < 12; ++i) step(run, i, random_);
  TensorFile file;
  run.Save(file, "recycling.");
  ErrorRecycling resumed(options, 5.0);
  resumed.Load(ParseSafetensors(SerializeSafetensors(file), "a test"), "recycling.");
  at::Generator random = random_.clone();
  for (int64_t i = 12; i < 40; ++i) {
    const Injection a = step(run, i, random_), b = step(resumed, i, random);
    EXPECT_EQ(a.clean, b.clean);
    for (const auto& [x, y] : {std::pair{a.noise_error, b.noise_error},
                               {a.latent_error, b.latent_error},
                               {a.history_error, b.history_error}}) {
      ASSERT_EQ(x.defined(), y.defined());
      EXPECT_TRUE(!x.defined() || at::equal(x, y));
    }
  }
  TensorFile one, other;
  run.Save(one, "");
  resumed.Save(other, "");
  EXPECT_EQ(SerializeSafetensors(one), SerializeSafetensors(other));
  EXPECT_THROW(resumed.Load({}, "recycling."), std::invalid_argument);
}

TEST_F(ErrorRecyclingTest, RefusesBadArguments) {
  ErrorRecycling recycling(Always(), 5.0);
  EXPECT_THROW(recycling.Draw(1000, 1, random_), std::invalid_argument);
  EXPECT_THROW(recycling.Draw(-1, 1, random_), std::invalid_argument);
  EXPECT_THROW(recycling.Draw(0, -1, random_), std::invalid_argument);
  EXPECT_THROW(recycling.Collect(1000, false, Slots(1), Slots(1), random_), std::invalid_argument);
  EXPECT_THROW(recycling.Collect(0, false, Slots(1), {}, random_), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
