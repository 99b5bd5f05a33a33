#include "server/queue/sqlite_stores.h"

#include <utility>

#include "server/queue/sql_job_store.h"
#include "server/queue/sql_training_store.h"
#include "server/queue/sqlite_pool.h"
#include "server/queue/status_macros.h"

namespace svi::server {

absl::StatusOr<Stores> OpenSqliteStores(const std::string& path) {
  SVI_ASSIGN_OR_RETURN(const std::shared_ptr<SqlitePool> pool, SqlitePool::Open(path));
  return Stores{std::make_unique<SqlJobStore>(pool), std::make_unique<SqlTrainingStore>(pool)};
}

absl::StatusOr<std::unique_ptr<JobStore>> OpenSqliteJobStore(const std::string& path) {
  SVI_ASSIGN_OR_RETURN(Stores stores, OpenSqliteStores(path));
  return std::move(stores.jobs);
}

absl::StatusOr<std::unique_ptr<TrainingStore>> OpenSqliteTrainingStore(const std::string& path) {
  SVI_ASSIGN_OR_RETURN(Stores stores, OpenSqliteStores(path));
  return std::move(stores.training);
}

}  // namespace svi::server
