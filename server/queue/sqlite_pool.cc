#include "server/queue/sqlite_pool.h"

#include "server/queue/sql_files.h"
#include "server/queue/sqlite_migrate.h"

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
