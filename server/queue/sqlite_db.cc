#include "server/queue/sqlite_db.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/queue/status_macros.h"

namespace svi::server {
namespace {

constexpr int kBusyTimeoutMs = 10'000;

// Owns the statement.
class SqliteCursor final : public SqlCursor {
 public:
  explicit SqliteCursor(sqlite3_stmt* stmt) : stmt_(stmt) {}
  ~SqliteCursor() override { sqlite3_finalize(stmt_); }

  absl::Status BindInt(int index, int64_t value) override {
    return SqliteStatus(sqlite3_bind_int64(stmt_, index, value));
  }
  absl::Status BindText(int index, absl::string_view value) override {
    // A null pointer would bind NULL.
    const char* data = value.data() == nullptr ? "" : value.data();
    return SqliteStatus(sqlite3_bind_text64(stmt_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  absl::Status BindBlob(int index, absl::string_view value) override {
    const char* data = value.data() == nullptr ? "" : value.data();
    return SqliteStatus(sqlite3_bind_blob64(stmt_, index, data, value.size(), SQLITE_STATIC));
  }
  absl::StatusOr<bool> Step() override {
    const int code = sqlite3_step(stmt_);
    SVI_RETURN_IF_ERROR(SqliteStatus(code));
    return code == SQLITE_ROW;
  }
  int Changes() override { return sqlite3_changes(sqlite3_db_handle(stmt_)); }
  bool IsNull(int column) const override { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
  int64_t Int(int column) const override { return sqlite3_column_int64(stmt_, column); }
  std::string Bytes(int column) const override {
    const void* data = sqlite3_column_blob(stmt_, column);
    const int size = sqlite3_column_bytes(stmt_, column);
    return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
  }
  void Reset() override {
    sqlite3_reset(stmt_);
    sqlite3_clear_bindings(stmt_);
  }

 private:
  sqlite3_stmt* const stmt_;
};

}  // namespace

absl::Status SqliteStatus(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return absl::OkStatus();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError("the job store is busy");
    case SQLITE_FULL:
      return absl::UnavailableError("the job store's disk is full");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::UnavailableError("the job store cannot be written");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
      return absl::UnavailableError("the job store cannot be reached");
    case SQLITE_NOMEM:
      return absl::UnavailableError("the job store is out of memory");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return absl::DataLossError("the job store is damaged");
    default:
      return absl::InternalError(absl::StrCat("job store error ", code));
  }
}

absl::StatusOr<std::unique_ptr<SqliteDb>> SqliteDb::Open(const std::string& path,
                                                         const NamedQueries& queries) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<SqliteDb> db(
      new SqliteDb(handle, queries));  // closes the handle, which is there even on failure
  SVI_RETURN_IF_ERROR(SqliteStatus(code));
  SVI_RETURN_IF_ERROR(SqliteStatus(sqlite3_busy_timeout(handle, kBusyTimeoutMs)));
  SVI_RETURN_IF_ERROR(
      db->Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"));
  return db;
}

SqliteDb::~SqliteDb() {
  statements_.clear();
  sqlite3_close(db_);
}

absl::Status SqliteDb::Exec(const std::string& sql) {
  return SqliteStatus(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr));
}

Statement SqliteDb::Prepare(absl::string_view name) {
  const auto prepared = statements_.find(name);
  if (prepared != statements_.end()) return Statement(prepared->second.get(), absl::OkStatus());
  const auto query = queries_.find(name);
  if (query == queries_.end()) {
    return Statement(nullptr, absl::InternalError(absl::StrCat("there is no query ", name)));
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, query->second.data(), static_cast<int>(query->second.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Statement(nullptr, SqliteStatus(code));
  SqlCursor* const cursor =
      statements_.emplace(name, std::make_unique<SqliteCursor>(statement)).first->second.get();
  return Statement(cursor, absl::OkStatus());
}

absl::Status SqliteDb::PrepareAll() {
  for (const auto& [name, sql] : queries_) SVI_RETURN_IF_ERROR(Prepare(name).status());
  return absl::OkStatus();
}

absl::Status SqliteDb::BeginExclusive() { return Exec("BEGIN IMMEDIATE"); }

bool SqliteDb::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

}  // namespace svi::server
