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
#include "server/queue/sql_pool.h"
#include "server/queue/sqlite_db.h"

namespace svi::server {

// Writes take turns on one connection; each read has one of its own.
class SqlitePool final : public SqlPool {
 public:
  // Opens the database, and brings it to this program's schema. Errors: see OpenSqliteStores.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<SqlitePool>> Open(const std::string& path);

 private:
  SqlitePool(std::string path, NamedQueries queries) : path_(std::move(path)), queries_(std::move(queries)) {}

  absl::Status RunWrite(Transaction body) override ABSL_LOCKS_EXCLUDED(write_mutex_);
  absl::Status RunRead(Transaction body) override ABSL_LOCKS_EXCLUDED(readers_mutex_);

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
