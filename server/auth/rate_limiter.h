// How many calls a tenant may make.
#ifndef SVI_SERVER_AUTH_RATE_LIMITER_H_
#define SVI_SERVER_AUTH_RATE_LIMITER_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace svi::server {

// A token bucket for each tenant: it fills with `rate` calls a second up to `burst`, and a call takes one.
// Thread-safe. Memory: a few words for each tenant that has ever called, and tenants come from the token
// file.
class RateLimiter {
 public:
  // rate 0: no limit; burst: at least 1.
  RateLimiter(double rate, double burst) : rate_(rate), burst_(burst) {}

  // RESOURCE_EXHAUSTED with RetryInfo, the time until a call is free again.
  absl::Status Take(const std::string& tenant, absl::Time now);

 private:
  struct Bucket {
    double calls = 0;
    absl::Time filled;
  };

  const double rate_, burst_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_RATE_LIMITER_H_
