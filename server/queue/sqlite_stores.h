// The embedded stores: one SQLite file.
#ifndef SVI_SERVER_QUEUE_SQLITE_STORES_H_
#define SVI_SERVER_QUEUE_SQLITE_STORES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/queue/stores.h"

namespace svi::server {

// Opens the database at `path`; its folder must be there, the file is made if it is not, and brought to this
// program's schema. Beside it SQLite keeps `path`-wal and `path`-shm. One process at a time should own it.
// FAILED_PRECONDITION: a newer program wrote it. DATA_LOSS: damaged, or not a database. UNAVAILABLE: cannot
// be opened or written.
//
// Writes take turns on one connection, each fsynced before it is answered; reads run beside them on others,
// and see every write that was answered before they began.
[[nodiscard]] absl::StatusOr<Stores> OpenSqliteStores(const std::string& path);

// One of the two.
[[nodiscard]] absl::StatusOr<std::unique_ptr<JobStore>> OpenSqliteJobStore(const std::string& path);
[[nodiscard]] absl::StatusOr<std::unique_ptr<TrainingStore>> OpenSqliteTrainingStore(const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_STORES_H_
