// Brings a database to the schema that this program knows.
#ifndef SVI_SERVER_QUEUE_SQL_MIGRATE_H_
#define SVI_SERVER_QUEUE_SQL_MIGRATE_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/queue/named_queries.h"
#include "server/queue/sql_db.h"
#include "server/queue/sql_files.h"

namespace svi::server {

// The queries that Migrate needs; a connection for it is opened with these.
[[nodiscard]] const NamedQueries& MigrationQueries();

// Applies the migrations that schema_migrations does not list yet, in order, in one transaction: all or none.
// Safe when several processes start at once. FAILED_PRECONDITION: the database is newer than the last of
// `migrations`.
[[nodiscard]] absl::Status Migrate(SqlDb& db, absl::Span<const Migration> migrations);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_MIGRATE_H_
