// The connections to one SQLite database: one that writes, some that read.
#ifndef SVI_SERVER_QUEUE_SQLITE_POOL_H_
#define SVI_SERVER_QUEUE_SQLITE_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/named_queries.h"
#include "server/queue/sqlite_db.h"
#include "server/queue/status_macros.h"

namespace svi::server {

// Thread-safe. Shared by the stores that live in the database.
class SqlitePool {
 public:
  // Opens the database, and brings it to this program's schema. Errors: see OpenSqliteJobStore.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<SqlitePool>> Open(const std::string& path);

  // Runs `body(db)`, which returns a StatusOr or Status, in one transaction: committed if it is OK, else
  // rolled back.
  template <typename Body>
  auto Write(const Body& body) ABSL_LOCKS_EXCLUDED(write_mutex_)
      -> decltype(body(std::declval<SqliteDb&>())) {
    absl::MutexLock lock(&write_mutex_);
    SVI_RETURN_IF_ERROR(writer_->Query("begin_write").Run());
    auto result = body(*writer_);
    absl::Status committed = StatusOf(result);
    if (committed.ok()) committed = writer_->Query("commit").Run();
    if (committed.ok()) return result;
    // SQLite itself has rolled back after some errors.
    if (writer_->in_transaction()) writer_->Query("rollback").Run().IgnoreError();
    return committed;
  }

  // Runs `body(db)` on one snapshot, on a connection of its own.
  template <typename Body>
  auto Read(const Body& body) ABSL_LOCKS_EXCLUDED(readers_mutex_)
      -> decltype(body(std::declval<SqliteDb&>())) {
    SVI_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, TakeReader());
    const absl::Status begun = db->Query("begin_read").Run();
    if (!begun.ok()) {
      ReturnReader(std::move(db));
      return begun;
    }
    auto result = body(*db);
    const absl::Status ended = db->Query("commit").Run();
    // A connection that cannot end its transaction would hold its snapshot for ever: drop it.
    ReturnReader(ended.ok() ? std::move(db) : nullptr);
    return result;
  }

 private:
  SqlitePool(std::string path, NamedQueries queries) : path_(std::move(path)), queries_(std::move(queries)) {}

  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& value) {
    return value.status();
  }

  // Waits for one of at most kMaxReaders.
  absl::StatusOr<std::unique_ptr<SqliteDb>> TakeReader() ABSL_LOCKS_EXCLUDED(readers_mutex_);
  void ReturnReader(std::unique_ptr<SqliteDb> reader) ABSL_LOCKS_EXCLUDED(readers_mutex_);

  static constexpr int kMaxReaders = 4;

  const std::string path_;
  const NamedQueries queries_;

  absl::Mutex write_mutex_;
  std::unique_ptr<SqliteDb> writer_ ABSL_PT_GUARDED_BY(write_mutex_);

  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteDb>> idle_readers_ ABSL_GUARDED_BY(readers_mutex_);
  int busy_readers_ ABSL_GUARDED_BY(readers_mutex_) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_POOL_H_
