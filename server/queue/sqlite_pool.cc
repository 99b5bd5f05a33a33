#include "server/queue/sqlite_pool.h"

#include "server/queue/sql_files.h"
#include "server/queue/sql_migrate.h"
#include "server/queue/status_macros.h"

namespace svi::server {

absl::StatusOr<std::shared_ptr<SqlitePool>> SqlitePool::Open(const std::string& path) {
  SVI_ASSIGN_OR_RETURN(NamedQueries queries, ParseNamedQueries(SqliteQueries()));
  for (const auto& query : MigrationQueries()) queries.insert(query);
  std::shared_ptr<SqlitePool> pool(new SqlitePool(path, std::move(queries)));
  SVI_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> writer, SqliteDb::Open(path, pool->queries_));
  SVI_RETURN_IF_ERROR(Migrate(*writer, SqliteMigrations()));
  SVI_RETURN_IF_ERROR(writer->PrepareAll());
  pool->writer_ = std::move(writer);
  return pool;
}

absl::Status SqlitePool::RunWrite(Transaction body) {
  absl::MutexLock lock(&write_mutex_);
  SVI_RETURN_IF_ERROR(writer_->Query("begin_write").Run());
  absl::Status status = body(*writer_);
  if (status.ok()) status = writer_->Query("commit").Run();
  // SQLite itself has rolled back after some errors.
  if (!status.ok() && writer_->in_transaction()) writer_->Query("rollback").Run().IgnoreError();
  return status;
}

absl::Status SqlitePool::RunRead(Transaction body) {
  SVI_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, TakeReader());
  absl::Status status = db->Query("begin_read").Run();
  if (!status.ok()) {
    ReturnReader(std::move(db));
    return status;
  }
  status = body(*db);
  const absl::Status ended = db->Query("commit").Run();
  // A connection that cannot end its transaction would hold its snapshot for ever: drop it.
  ReturnReader(ended.ok() ? std::move(db) : nullptr);
  return status;
}

absl::StatusOr<std::unique_ptr<SqliteDb>> SqlitePool::TakeReader() {
  {
    absl::MutexLock lock(&readers_mutex_);
    const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(readers_mutex_) {
      return busy_readers_ < kMaxReaders;
    };
    readers_mutex_.Await(absl::Condition(&free));
    ++busy_readers_;
    if (!idle_readers_.empty()) {
      std::unique_ptr<SqliteDb> reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
      return reader;
    }
  }
  absl::StatusOr<std::unique_ptr<SqliteDb>> reader = SqliteDb::Open(path_, queries_);
  if (!reader.ok()) ReturnReader(nullptr);
  return reader;
}

void SqlitePool::ReturnReader(std::unique_ptr<SqliteDb> reader) {
  absl::MutexLock lock(&readers_mutex_);
  --busy_readers_;
  if (reader != nullptr) idle_readers_.push_back(std::move(reader));
}

}  // namespace svi::server
