#include "server/queue/sql_db.h"

#include "server/queue/status_macros.h"

namespace svi::server {

absl::StatusOr<bool> Statement::Step() {
  if (!status_.ok()) return status_;
  absl::StatusOr<bool> row = cursor_->Step();
  status_ = row.status();
  return row;
}

absl::StatusOr<int> Statement::RunAndCountChanges() {
  SVI_ASSIGN_OR_RETURN(const bool row, Step());
  if (row) return absl::InternalError("a job store statement returned rows");
  return cursor_->Changes();
}

}  // namespace svi::server
