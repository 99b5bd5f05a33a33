// The limits of tenants, from the file of --tenant-limits.
#ifndef SVI_SERVER_QUEUE_TENANT_TABLE_H_
#define SVI_SERVER_QUEUE_TENANT_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/tenant.h"

namespace svi::server {

// What the file says.
struct TenantTableContents {
  uint32_t max_videos = 0;  // of all tenants; 0: no limit
  TenantLimits others;
  std::map<std::string, TenantLimits> named;
};

// Reads a svi.v1.TenantLimitsFile. INVALID_ARGUMENT names the line, or the field and its limits.
[[nodiscard]] absl::StatusOr<TenantTableContents> ParseTenantLimits(const std::string& text);

// Thread-safe.
class TenantTable {
 public:
  // Without a file: every tenant has weight 1 and no limits.
  TenantTable() = default;
  // UNAVAILABLE: cannot be read. INVALID_ARGUMENT as ParseTenantLimits. Both name the file.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TenantTable>> Open(const std::string& path);

  [[nodiscard]] TenantLimits Of(const std::string& tenant) const ABSL_LOCKS_EXCLUDED(mu_);
  [[nodiscard]] uint32_t max_videos() const ABSL_LOCKS_EXCLUDED(mu_);
  // The file names the tenant, or it is the default tenant: few enough to be labels of metrics.
  [[nodiscard]] bool IsNamed(const std::string& tenant) const ABSL_LOCKS_EXCLUDED(mu_);

  // Reads the file again; true if it has changed, and what it says is used from now on. On an error what was
  // read before stays in use; one in the file's text is returned once.
  [[nodiscard]] absl::StatusOr<bool> Reload() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::string path_;
  mutable absl::Mutex mu_;
  TenantTableContents contents_ ABSL_GUARDED_BY(mu_);
  std::string read_ ABSL_GUARDED_BY(mu_);  // the file as it was read last
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TENANT_TABLE_H_
