#include "server/stream/event_hub.h"

#include <gtest/gtest.h>

namespace svi::server {
namespace {

TEST(EventHubTest, WakesOnlyWatchersOfTheVideo) {
  EventHub hub;
  int a = 0, b = 0;
  const auto first = hub.Subscribe("a", 4, [&] { ++a; });
  const auto second = hub.Subscribe("b", 4, [&] { ++b; });
  hub.Changed("a");
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 0);
  EXPECT_TRUE(first->TakeChanged());
  EXPECT_FALSE(first->TakeChanged());
  EXPECT_FALSE(second->TakeChanged());
  hub.WakeAll();
  EXPECT_EQ(b, 1);
}

TEST(EventHubTest, SlowWatcherKeepsTheNewestProgressAndTheMark) {
  size_t dropped = 0;
  EventHub hub([&](size_t n) { dropped += n; });
  const auto slow = hub.Subscribe("a", 2, [] {});
  hub.Changed("a");
  v1::Progress progress;
  for (uint32_t step = 1; step <= 5; ++step) {
    progress.set_step(step);
    hub.PublishProgress("a", progress);
  }
  EXPECT_EQ(dropped, 3U);
  EXPECT_TRUE(slow->TakeChanged());
  ASSERT_TRUE(slow->TakeProgress(&progress));
  EXPECT_EQ(progress.step(), 4U);
  ASSERT_TRUE(slow->TakeProgress(&progress));
  EXPECT_EQ(progress.step(), 5U);
  EXPECT_FALSE(slow->TakeProgress(&progress));
}

TEST(EventHubTest, WhoWantsNoProgressIsNotWokenByIt) {
  size_t dropped = 0;
  EventHub hub([&](size_t n) { dropped += n; });
  int woken = 0;
  const auto durable = hub.Subscribe("a", 0, [&] { ++woken; });
  v1::Progress progress;
  hub.PublishProgress("a", progress);
  EXPECT_EQ(woken, 0);
  EXPECT_EQ(dropped, 0U);
  EXPECT_FALSE(durable->TakeProgress(&progress));
}

TEST(EventHubTest, CountsComingsAndGoingsOnce) {
  int watchers = 0;
  EventHub hub({}, [&](int delta) { watchers += delta; });
  int woken = 0;
  const auto one = hub.Subscribe("a", 1, [&] { ++woken; });
  EXPECT_EQ(watchers, 1);
  hub.Unsubscribe("a", one);
  hub.Unsubscribe("a", one);
  EXPECT_EQ(watchers, 0);
  EXPECT_EQ(hub.watchers(), 0U);
  hub.Changed("a");
  EXPECT_EQ(woken, 0);
}

}  // namespace
}  // namespace svi::server
