// That ThreadSanitizer knows abseil's mutexes (absl_synchronization.cc), and still finds a race beside one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace svi {
namespace {

class Numbers {
 public:
  void Add(int number) {
    absl::MutexLock lock(&mu_);
    numbers_.push_back(number);
  }
  int Take() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &Numbers::Some));
    const int number = numbers_.back();
    numbers_.pop_back();
    return number;
  }

 private:
  bool Some() const { return !numbers_.empty(); }

  absl::Mutex mu_;
  std::vector<int> numbers_;
};

TEST(AbslSynchronization, WhatAMutexGuardsIsNoRace) {
  constexpr int kThreads = 4, kEach = 1000;
  Numbers numbers;
  int sum = 0;
  absl::Notification done;
  std::thread taker([&] {
    for (int i = 0; i < kThreads * kEach; ++i) sum += numbers.Take();
    done.Notify();
  });
  std::vector<std::thread> adders;
  for (int i = 0; i < kThreads; ++i) {
    adders.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) numbers.Add(1);
    });
  }
  done.WaitForNotification();
  EXPECT_EQ(sum, kThreads * kEach);
  taker.join();
  for (std::thread& adder : adders) adder.join();
}

// Two threads write beside the mutex that both of them take.
void Race() {
  absl::Mutex mu;
  int guarded = 0;
  int unguarded = 0;
  const auto work = [&] {
    ++unguarded;
    absl::MutexLock lock(&mu);
    ++guarded;
  };
  std::thread one(work);
  std::thread two(work);
  one.join();
  two.join();
  std::exit(guarded + unguarded > 0 ? 0 : 1);  // what TSan makes of its findings is the exit status
}

TEST(AbslSynchronizationDeathTest, ARaceBesideAMutexIsFound) { EXPECT_DEATH(Race(), "data race"); }

}  // namespace
}  // namespace svi
