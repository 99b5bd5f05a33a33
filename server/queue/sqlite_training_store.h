// The embedded TrainingStore, in the same SQLite file as the JobStore.
#ifndef SVI_SERVER_QUEUE_SQLITE_TRAINING_STORE_H_
#define SVI_SERVER_QUEUE_SQLITE_TRAINING_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/queue/job_store.h"
#include "server/queue/training_store.h"

namespace svi::server {

// As OpenSqliteJobStore.
[[nodiscard]] absl::StatusOr<std::unique_ptr<TrainingStore>> OpenSqliteTrainingStore(const std::string& path);

// Both stores of one database, over the same connections.
struct SqliteStores {
  std::unique_ptr<JobStore> jobs;
  std::unique_ptr<TrainingStore> training;
};
[[nodiscard]] absl::StatusOr<SqliteStores> OpenSqliteStores(const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_TRAINING_STORE_H_
