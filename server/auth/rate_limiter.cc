#include "server/auth/rate_limiter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"

namespace svi::server {

absl::Status RateLimiter::Take(const std::string& tenant, absl::Time now) {
  if (rate_ <= 0) return absl::OkStatus();
  absl::MutexLock lock(&mu_);
  Bucket& bucket = buckets_.try_emplace(tenant, Bucket{burst_, now}).first->second;
  // A clock that is set back takes nothing away, and gives nothing.
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - bucket.filled));
  bucket.calls = std::min(burst_, bucket.calls + seconds * rate_);
  bucket.filled = now;
  if (bucket.calls >= 1) {
    bucket.calls -= 1;
    return absl::OkStatus();
  }
  absl::Status status = MakeError(absl::StatusCode::kResourceExhausted, "RATE_LIMITED",
                                  absl::StrCat("too many calls: ", rate_, " a second are allowed"));
  SetRetryDelay(&status, absl::Seconds((1 - bucket.calls) / rate_));
  return status;
}

}  // namespace svi::server
