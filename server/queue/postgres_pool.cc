#include "server/queue/postgres_pool.h"

#include <string>

#include "server/queue/sql_files.h"
#include "server/queue/sql_migrate.h"
#include "server/queue/status_macros.h"

namespace svi::server {
namespace {

constexpr char kBeginWrite[] = "BEGIN";
constexpr char kBeginRead[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// Conflicts are rare, since each video's changes queue up at its lock.
constexpr int kMostConflicts = 5;

}  // namespace

absl::StatusOr<std::shared_ptr<PostgresPool>> PostgresPool::Open(const PostgresOptions& options) {
  SVI_ASSIGN_OR_RETURN(NamedQueries queries, ParseNamedQueries(PostgresQueries()));
  for (const auto& query : MigrationQueries()) queries.insert(query);
  std::shared_ptr<PostgresPool> pool(new PostgresPool(options, std::move(queries)));
  SVI_ASSIGN_OR_RETURN(std::unique_ptr<PostgresDb> db, pool->Take());
  SVI_RETURN_IF_ERROR(Migrate(*db, PostgresMigrations()));
  SVI_RETURN_IF_ERROR(db->PrepareAll());
  pool->Return(std::move(db));
  return pool;
}

absl::Status PostgresPool::RunWrite(Transaction body) { return Run(kBeginWrite, body); }

absl::Status PostgresPool::RunRead(Transaction body) { return Run(kBeginRead, body); }

absl::Status PostgresPool::Run(const char* begin, Transaction body) {
  bool reconnected = false;
  for (int conflicts = 0;;) {
    SVI_ASSIGN_OR_RETURN(std::unique_ptr<PostgresDb> db, Take());
    Next next = Next::kGiveUp;
    absl::Status status = RunOn(*db, begin, body, &next);
    Return(std::move(db));
    if (next == Next::kGiveUp) return status;
    if (next == Next::kReconnect && std::exchange(reconnected, true)) return status;
    if (next == Next::kAgain && ++conflicts > kMostConflicts) return status;
  }
}

absl::Status PostgresPool::RunOn(PostgresDb& db, const char* begin, Transaction body, Next* next) {
  absl::Status status = db.Exec(begin);
  if (status.ok()) status = body(db);
  if (status.ok()) return db.Commit();
  if (db.broken()) {
    *next = Next::kReconnect;
  } else {
    if (db.conflicted()) *next = Next::kAgain;
    // One that cannot even be rolled back is found broken by who takes it next.
    if (db.in_transaction()) db.Exec("ROLLBACK").IgnoreError();
  }
  return status;
}

absl::StatusOr<std::unique_ptr<PostgresDb>> PostgresPool::Take() {
  {
    absl::MutexLock lock(&mutex_);
    const auto free = [this]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return busy_ < options_.max_connections; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&free), options_.wait_limit)) {
      return absl::UnavailableError("the job store is busy");
    }
    ++busy_;
    if (!idle_.empty()) {
      std::unique_ptr<PostgresDb> db = std::move(idle_.back());
      idle_.pop_back();
      return db;
    }
  }
  absl::StatusOr<std::unique_ptr<PostgresDb>> db = Connect();
  if (!db.ok()) Return(nullptr);
  return db;
}

void PostgresPool::Return(std::unique_ptr<PostgresDb> db) {
  std::vector<std::unique_ptr<PostgresDb>> dropped;
  absl::MutexLock lock(&mutex_);
  --busy_;
  if (db == nullptr) return;
  if (db->broken()) {
    // The server has gone, so they all have lost it.
    dropped.swap(idle_);
  } else if (!db->in_transaction()) {
    idle_.push_back(std::move(db));
  }
}

}  // namespace svi::server
