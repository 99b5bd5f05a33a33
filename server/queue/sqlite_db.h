// One SQLite connection with its prepared statements, and SQLite's errors as absl::Status.
#ifndef SVI_SERVER_QUEUE_SQLITE_DB_H_
#define SVI_SERVER_QUEUE_SQLITE_DB_H_

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/queue/named_queries.h"
#include "server/queue/sql_db.h"

struct sqlite3;

namespace svi::server {

// UNAVAILABLE: busy, full, read-only or unreadable. DATA_LOSS: corrupt, or not a database. INTERNAL: a
// mistake of ours. Never holds a path or SQL.
[[nodiscard]] absl::Status SqliteStatus(int code);

class SqliteDb final : public SqlDb {
 public:
  // Opens `path`, which is made if it is not there, with WAL, synchronous=FULL, foreign keys and a busy
  // timeout. `queries` must outlive the connection.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SqliteDb>> Open(const std::string& path,
                                                                      const NamedQueries& queries);
  ~SqliteDb() override;

  [[nodiscard]] absl::Status Exec(const std::string& sql) override;
  [[nodiscard]] absl::Status PrepareAll() override;
  [[nodiscard]] absl::Status BeginExclusive() override;
  [[nodiscard]] bool in_transaction() const override;

 private:
  SqliteDb(sqlite3* db, const NamedQueries& queries) : db_(db), queries_(queries) {}
  Statement Prepare(absl::string_view name) override;

  sqlite3* db_;
  const NamedQueries& queries_;
  absl::flat_hash_map<std::string, std::unique_ptr<SqlCursor>> statements_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_DB_H_
