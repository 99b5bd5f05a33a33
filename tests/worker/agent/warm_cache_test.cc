#include "worker/agent/warm_cache.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace svi::worker {
namespace {

TEST(WarmCacheTest, KeepsTheNewestVideosAndTheirNextClipOnly) {
  WarmCache cache(2);
  cache.Put({.video = "a", .next_clip = 1, .picture = nullptr, .carry = nullptr});
  cache.Put({.video = "b", .next_clip = 1, .picture = nullptr, .carry = nullptr});
  cache.Put({.video = "a", .next_clip = 2, .picture = nullptr, .carry = nullptr});
  EXPECT_THAT(cache.Videos(), ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(cache.Find("a", 1), nullptr);
  EXPECT_NE(cache.Find("a", 2), nullptr);
  cache.Put({.video = "c", .next_clip = 1, .picture = nullptr, .carry = nullptr});
  EXPECT_THAT(cache.Videos(), ::testing::ElementsAre("c", "a"));
  EXPECT_EQ(cache.Find("b", 1), nullptr);
}

}  // namespace
}  // namespace svi::worker
