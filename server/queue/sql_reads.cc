#include "server/queue/sql_reads.h"

namespace svi::server {

absl::StatusOr<std::optional<std::string>> FindReplayed(SqlDb& db, absl::string_view query,
                                                        const std::string& tenant,
                                                        const std::string& request_id,
                                                        const std::string& request_hash) {
  if (request_id.empty()) return std::optional<std::string>();
  Statement row = db.Query(query, tenant, request_id);
  SVI_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<std::string>();
  if (row.Bytes(0) != request_hash) {
    return absl::AlreadyExistsError("request_id was used before, with another request");
  }
  return std::optional<std::string>(row.Bytes(1));
}

}  // namespace svi::server
