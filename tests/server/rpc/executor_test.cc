#include "server/rpc/executor.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"

namespace svi::server {
namespace {

TEST(ExecutorTest, RunsEverythingBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    Executor executor(3);
    for (int i = 0; i < 100; ++i) executor.Submit([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(ExecutorTest, RefusesWhatIsBeyondTheLimit) {
  absl::Notification started, go;
  Executor executor(1);
  executor.Submit([&] {
    started.Notify();
    go.WaitForNotification();
  });
  started.WaitForNotification();
  EXPECT_TRUE(executor.TrySubmit([] {}, 1));
  EXPECT_FALSE(executor.TrySubmit([] {}, 1));
  go.Notify();
}

}  // namespace
}  // namespace svi::server
