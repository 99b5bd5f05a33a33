// One SQLite connection with its prepared statements, and SQLite's errors as absl::Status.
#ifndef SVI_SERVER_QUEUE_SQLITE_DB_H_
#define SVI_SERVER_QUEUE_SQLITE_DB_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/queue/named_queries.h"

struct sqlite3;
struct sqlite3_stmt;

namespace svi::server {

// UNAVAILABLE: busy, full, read-only or unreadable. DATA_LOSS: corrupt, or not a database. INTERNAL: a
// mistake of ours. Never holds a path or SQL.
[[nodiscard]] absl::Status SqliteStatus(int code);

// Marks bytes to be bound as a BLOB; a plain string_view is bound as TEXT.
struct Blob {
  absl::string_view bytes;
};

// A query that is being run. Borrowed from its SqliteDb, to which it goes back, reset, when this is
// destroyed; hence the same query cannot be run inside itself. The first error sticks and is returned by
// Step. Not thread-safe.
class Statement {
 public:
  Statement(sqlite3_stmt* stmt, absl::Status status) : stmt_(stmt), status_(std::move(status)) {}
  Statement(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Parameters count from 1. Bytes that are bound must live until the statement is destroyed.
  void Bind(int index, int64_t value);
  void Bind(int index, int value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, uint32_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, uint64_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, bool value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, absl::string_view value);
  void Bind(int index, const std::string& value) { Bind(index, absl::string_view(value)); }
  void Bind(int index, const char* value) { Bind(index, absl::string_view(value)); }
  void Bind(int index, Blob value);
  template <typename T>
  void Bind(int index, const std::optional<T>& value) {
    if (value.has_value()) Bind(index, *value);  // else it stays NULL
  }

  // True: there is a row, to be read with the functions below. False: done.
  [[nodiscard]] absl::StatusOr<bool> Step();
  // For statements without rows.
  [[nodiscard]] absl::Status Run();
  // As Run; returns how many rows it changed.
  [[nodiscard]] absl::StatusOr<int> RunAndCountChanges();

  [[nodiscard]] const absl::Status& status() const { return status_; }

  // Columns count from 0.
  [[nodiscard]] bool IsNull(int column) const;
  [[nodiscard]] int64_t Int(int column) const;
  [[nodiscard]] std::string Bytes(int column) const;  // of TEXT or BLOB

 private:
  sqlite3_stmt* stmt_;
  absl::Status status_;
};

// Not thread-safe.
class SqliteDb {
 public:
  // Opens `path`, which is made if it is not there, with WAL, synchronous=FULL, foreign keys and a busy
  // timeout. `queries` must outlive the connection.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SqliteDb>> Open(const std::string& path,
                                                                      const NamedQueries& queries);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  // Runs any number of statements, without parameters and rows.
  [[nodiscard]] absl::Status Exec(const std::string& sql);

  // The statement of that name, with `args` bound in order.
  template <typename... Args>
  [[nodiscard]] Statement Query(absl::string_view name, const Args&... args) {
    Statement statement = Prepare(name);
    int index = 0;
    (statement.Bind(++index, args), ...);
    return statement;
  }

  // Prepares every query, so that a mistake in one is seen at start.
  [[nodiscard]] absl::Status PrepareAll();

  [[nodiscard]] bool in_transaction() const;

 private:
  SqliteDb(sqlite3* db, const NamedQueries& queries) : db_(db), queries_(queries) {}
  Statement Prepare(absl::string_view name);

  sqlite3* db_;
  const NamedQueries& queries_;
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_DB_H_
