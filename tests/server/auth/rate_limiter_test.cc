#include "server/auth/rate_limiter.h"

#include <gtest/gtest.h>

#include "server/rpc/status.h"

namespace svi::server {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

TEST(RateLimiter, ABurstThenTheRate) {
  RateLimiter limiter(/*rate=*/2, /*burst=*/3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Take("a", kStart).ok()) << i;
  const absl::Status refused = limiter.Take("a", kStart);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(GetRetryInfo(refused, &retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 0);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
  EXPECT_TRUE(limiter.Take("a", kStart + absl::Milliseconds(500)).ok());
  EXPECT_FALSE(limiter.Take("a", kStart + absl::Milliseconds(501)).ok());
}

TEST(RateLimiter, TenantsDoNotPayForEachOther) {
  RateLimiter limiter(1, 1);
  EXPECT_TRUE(limiter.Take("a", kStart).ok());
  EXPECT_FALSE(limiter.Take("a", kStart).ok());
  EXPECT_TRUE(limiter.Take("b", kStart).ok());
}

TEST(RateLimiter, FillsNoHigherThanTheBurst) {
  RateLimiter limiter(1, 2);
  EXPECT_TRUE(limiter.Take("a", kStart).ok());
  const absl::Time later = kStart + absl::Hours(1);
  EXPECT_TRUE(limiter.Take("a", later).ok());
  EXPECT_TRUE(limiter.Take("a", later).ok());
  EXPECT_FALSE(limiter.Take("a", later).ok());
}

TEST(RateLimiter, AClockThatIsSetBackStopsNobodyForLong) {
  RateLimiter limiter(1, 1);
  EXPECT_TRUE(limiter.Take("a", kStart).ok());
  EXPECT_FALSE(limiter.Take("a", kStart - absl::Hours(1)).ok());
  EXPECT_TRUE(limiter.Take("a", kStart - absl::Hours(1) + absl::Seconds(1)).ok());
}

TEST(RateLimiter, ZeroIsNoLimit) {
  RateLimiter limiter(0, 1);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limiter.Take("a", kStart).ok());
}

}  // namespace
}  // namespace svi::server
