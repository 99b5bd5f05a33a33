#include "client/steady.h"

#include <gtest/gtest.h>

#include <thread>

namespace svi {
namespace {

TEST(SteadyTest, ItNeverGoesBack) {
  const absl::Time first = SteadyNow();
  EXPECT_GE(SteadyNow(), first);
}

TEST(SteadyTest, AWaitEndsWithTheChangeOrTheDeadline) {
  absl::Mutex mu;
  SteadyCondition changed;
  bool done = false;
  absl::MutexLock lock(&mu);
  EXPECT_FALSE(changed.AwaitFor(&mu, absl::Milliseconds(20), [&done] { return done; }));
  EXPECT_FALSE(changed.AwaitUntil(&mu, absl::InfinitePast(), [&done] { return done; }));
  std::thread other([&] {
    absl::MutexLock other_lock(&mu);  // waits until this one waits
    done = true;
    changed.Notify();
  });
  EXPECT_TRUE(changed.AwaitUntil(&mu, absl::InfiniteFuture(), [&done] { return done; }));
  mu.Unlock();
  other.join();
  mu.Lock();
  EXPECT_TRUE(changed.AwaitUntil(&mu, absl::InfinitePast(), [&done] { return done; })) << "it is so already";
}

}  // namespace
}  // namespace svi
