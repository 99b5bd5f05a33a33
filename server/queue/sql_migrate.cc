#include "server/queue/sql_migrate.h"

#include "absl/strings/str_cat.h"
#include "server/queue/status_macros.h"

namespace svi::server {
namespace {

// Not in the .sql files, whose statements can be prepared only when the tables are there. What is here is the
// same in every database.
constexpr char kMigrationTable[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)";

absl::Status ApplyMissing(SqlDb& db, absl::Span<const Migration> migrations) {
  SVI_RETURN_IF_ERROR(db.Exec(kMigrationTable));
  int64_t version = 0;
  {
    Statement statement = db.Query("schema_version");
    SVI_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (row) version = statement.Int(0);
  }
  const int known = migrations.empty() ? 0 : migrations.back().number;
  if (version > known) {
    return absl::FailedPreconditionError(absl::StrCat("the job store has schema version ", version,
                                                      ", this program knows up to ", known,
                                                      ": start the program that wrote it, or a newer one"));
  }
  for (const Migration& migration : migrations) {
    if (migration.number <= version) continue;
    SVI_RETURN_IF_ERROR(db.Exec(migration.sql));
    SVI_RETURN_IF_ERROR(db.Exec(absl::StrCat("INSERT INTO schema_migrations (number, name) VALUES (",
                                             migration.number, ", '", migration.name, "')")));
  }
  return absl::OkStatus();
}

}  // namespace

const NamedQueries& MigrationQueries() {
  static const NamedQueries* const queries = new NamedQueries{
      {"schema_version", "SELECT COALESCE(MAX(number), 0) FROM schema_migrations"},
  };
  return *queries;
}

absl::Status Migrate(SqlDb& db, absl::Span<const Migration> migrations) {
  SVI_RETURN_IF_ERROR(db.BeginExclusive());
  absl::Status status = ApplyMissing(db, migrations);
  if (status.ok()) status = db.Exec("COMMIT");
  if (!status.ok() && db.in_transaction()) {
    // What matters is why it failed; a transaction that cannot even be rolled back ends with the connection.
    db.Exec("ROLLBACK").IgnoreError();
  }
  return status;
}

}  // namespace svi::server
