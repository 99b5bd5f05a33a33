// One connection to a SQL database, by named queries: what the stores are written against. SQLite's is in
// sqlite_db.h, PostgreSQL's in postgres_db.h.
#ifndef SVI_SERVER_QUEUE_SQL_DB_H_
#define SVI_SERVER_QUEUE_SQL_DB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

// Marks bytes to be bound as a BLOB; a plain string_view is bound as TEXT.
struct Blob {
  absl::string_view bytes;
};

// A prepared query, as its database does it; used through Statement. Parameters count from 1, columns from 0.
class SqlCursor {
 public:
  virtual ~SqlCursor() = default;
  virtual absl::Status BindInt(int index, int64_t value) = 0;
  virtual absl::Status BindText(int index, absl::string_view value) = 0;
  virtual absl::Status BindBlob(int index, absl::string_view value) = 0;
  // True: there is a row. False: done.
  virtual absl::StatusOr<bool> Step() = 0;
  // Rows that the statement changed.
  virtual int Changes() = 0;
  virtual bool IsNull(int column) const = 0;
  virtual int64_t Int(int column) const = 0;
  virtual std::string Bytes(int column) const = 0;
  // Ready to be bound and run again, with every parameter NULL.
  virtual void Reset() = 0;
};

// A query that is being run. Borrowed from its SqlDb, to which it goes back, reset, when this is destroyed;
// hence the same query cannot be run inside itself. The first error sticks and is returned by Step. Not
// thread-safe.
class Statement {
 public:
  Statement(SqlCursor* cursor, absl::Status status) : cursor_(cursor), status_(std::move(status)) {}
  Statement(Statement&& other) noexcept
      : cursor_(std::exchange(other.cursor_, nullptr)), status_(std::move(other.status_)) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() {
    if (cursor_ != nullptr) cursor_->Reset();
  }

  // Parameters count from 1. Bytes that are bound must live until the statement is destroyed.
  void Bind(int index, int64_t value) {
    if (status_.ok()) status_ = cursor_->BindInt(index, value);
  }
  void Bind(int index, int value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, uint32_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, uint64_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, bool value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, absl::string_view value) {
    if (status_.ok()) status_ = cursor_->BindText(index, value);
  }
  void Bind(int index, const std::string& value) { Bind(index, absl::string_view(value)); }
  void Bind(int index, const char* value) { Bind(index, absl::string_view(value)); }
  void Bind(int index, Blob value) {
    if (status_.ok()) status_ = cursor_->BindBlob(index, value.bytes);
  }
  template <typename T>
  void Bind(int index, const std::optional<T>& value) {
    if (value.has_value()) Bind(index, *value);  // else it stays NULL
  }

  // True: there is a row, to be read with the functions below. False: done.
  [[nodiscard]] absl::StatusOr<bool> Step();
  // For statements without rows.
  [[nodiscard]] absl::Status Run() { return RunAndCountChanges().status(); }
  // As Run; returns how many rows it changed.
  [[nodiscard]] absl::StatusOr<int> RunAndCountChanges();

  [[nodiscard]] const absl::Status& status() const { return status_; }

  // Columns count from 0.
  [[nodiscard]] bool IsNull(int column) const { return cursor_->IsNull(column); }
  [[nodiscard]] int64_t Int(int column) const { return cursor_->Int(column); }
  [[nodiscard]] std::string Bytes(int column) const { return cursor_->Bytes(column); }  // of TEXT or BLOB

 private:
  SqlCursor* cursor_;
  absl::Status status_;
};

// Not thread-safe.
class SqlDb {
 public:
  virtual ~SqlDb() = default;
  SqlDb(const SqlDb&) = delete;
  SqlDb& operator=(const SqlDb&) = delete;

  // Runs any number of statements, without parameters and rows.
  [[nodiscard]] virtual absl::Status Exec(const std::string& sql) = 0;

  // The statement of that name, with `args` bound in order.
  template <typename... Args>
  [[nodiscard]] Statement Query(absl::string_view name, const Args&... args) {
    Statement statement = Prepare(name);
    int index = 0;
    (statement.Bind(++index, args), ...);
    return statement;
  }

  // Prepares every query, so that a mistake in one is seen at start.
  [[nodiscard]] virtual absl::Status PrepareAll() = 0;

  // Begins a transaction that runs beside no other of this kind, in no process: for migrations.
  [[nodiscard]] virtual absl::Status BeginExclusive() = 0;
  [[nodiscard]] virtual bool in_transaction() const = 0;

 protected:
  SqlDb() = default;
  virtual Statement Prepare(absl::string_view name) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_DB_H_
