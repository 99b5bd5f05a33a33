// What retention asks.
#include "server/queue/sql_job_store.h"
#include "server/queue/sql_reads.h"

namespace svi::server {

absl::StatusOr<std::vector<EndedVideo>> SqlJobStore::ListEnded(absl::Time before,
                                                               const std::optional<EndedVideo>& after,
                                                               int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<EndedVideo>> {
    const int64_t after_us = after.has_value() ? absl::ToUnixMicros(after->end_time) : -1;
    const std::string after_id = after.has_value() ? after->id : "";
    std::vector<EndedVideo> videos;
    SVI_RETURN_IF_ERROR(
        ForEachRow(db.Query("list_ended", absl::ToUnixMicros(before), after_us, after_id, limit),
                   [&](const Statement& row) {
                     videos.push_back({row.Bytes(0), row.Bytes(1), absl::FromUnixMicros(row.Int(2))});
                     return absl::OkStatus();
                   }));
    return videos;
  });
}

}  // namespace svi::server
