#include "server/queue/postgres_stores.h"

#include "server/queue/sql_job_store.h"
#include "server/queue/sql_training_store.h"

namespace svi::server {

absl::StatusOr<std::shared_ptr<PostgresPool>> OpenPostgres(const PostgresOptions& options) {
  return PostgresPool::Open(options);
}

Stores MakePostgresStores(const std::shared_ptr<PostgresPool>& pool) {
  return {std::make_unique<SqlJobStore>(pool), std::make_unique<SqlTrainingStore>(pool)};
}

}  // namespace svi::server
