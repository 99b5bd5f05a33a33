// The stores in a PostgreSQL database, which several servers may share.
#ifndef SVI_SERVER_QUEUE_POSTGRES_STORES_H_
#define SVI_SERVER_QUEUE_POSTGRES_STORES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/queue/postgres_db.h"
#include "server/queue/postgres_pool.h"
#include "server/queue/stores.h"

namespace svi::server {

// Connects (PostgreSQL 12 or newer), and brings the database to this program's schema: its tables are in the
// first schema of the search path. Servers that start at once take turns. INVALID_ARGUMENT: the URL is
// malformed. FAILED_PRECONDITION: a newer program wrote the database. UNAVAILABLE: it cannot be reached or
// refuses the user; the message says why.
[[nodiscard]] absl::StatusOr<std::shared_ptr<PostgresPool>> OpenPostgres(const PostgresOptions& options);

// Both stores over the same connections.
[[nodiscard]] Stores MakePostgresStores(const std::shared_ptr<PostgresPool>& pool);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_POSTGRES_STORES_H_
