// Tenants: whose a video or a training run is. A tenant sees and shares nothing with another but the workers.
#ifndef SVI_SERVER_QUEUE_TENANT_H_
#define SVI_SERVER_QUEUE_TENANT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace svi::server {

// Whose everything is on a server that does not tell its callers apart, or was before it did.
inline constexpr char kDefaultTenant[] = "default";

inline constexpr size_t kMaxTenantBytes = 63;

// True if `name` is 1..63 characters of [a-z0-9-].
[[nodiscard]] inline bool IsTenantName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxTenantBytes) return false;
  for (const char c : name) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
  }
  return true;
}

// What a tenant may use. 0 as a limit: none.
struct TenantLimits {
  // Its share of busy workers goes by weight: 2 gets twice what 1 gets, when both have clips waiting.
  double weight = 1;  // 0.01..100
  // Videos that have not ended.
  uint32_t max_videos = 0;
  // Clips that are being made at once.
  uint32_t max_running_clips = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TENANT_H_
