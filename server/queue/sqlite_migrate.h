// Brings a SQLite database to the schema that this program knows.
#ifndef SVI_SERVER_QUEUE_SQLITE_MIGRATE_H_
#define SVI_SERVER_QUEUE_SQLITE_MIGRATE_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/queue/sql_files.h"
#include "server/queue/sqlite_db.h"

namespace svi::server {

// The queries that Migrate needs; a connection for it is opened with these.
[[nodiscard]] const NamedQueries& MigrationQueries();

// Applies the migrations that schema_migrations does not list yet, in order, in one transaction: all or none.
// Safe when several processes start at once. FAILED_PRECONDITION: the database is newer than the last of
// `migrations`.
[[nodiscard]] absl::Status Migrate(SqliteDb& db, absl::Span<const Migration> migrations);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_MIGRATE_H_
