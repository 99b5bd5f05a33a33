// The files of server/queue/sql/, compiled in (see sql/embed_sql.cmake).
#ifndef SVI_SERVER_QUEUE_SQL_FILES_H_
#define SVI_SERVER_QUEUE_SQL_FILES_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace svi::server {

struct Migration {
  int number;        // 1, 2, …: the schema version it leads to
  const char* name;  // "0001_init"
  const char* sql;
};

[[nodiscard]] absl::string_view PostgresQueries();
[[nodiscard]] absl::Span<const Migration> PostgresMigrations();  // by number
[[nodiscard]] absl::string_view SqliteQueries();
[[nodiscard]] absl::Span<const Migration> SqliteMigrations();  // by number

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_FILES_H_
