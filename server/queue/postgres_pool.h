// The connections to one PostgreSQL database.
#ifndef SVI_SERVER_QUEUE_POSTGRES_POOL_H_
#define SVI_SERVER_QUEUE_POSTGRES_POOL_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/named_queries.h"
#include "server/queue/postgres_db.h"
#include "server/queue/sql_pool.h"

namespace svi::server {

// Each transaction has a connection of its own, of at most max_connections; whoever gets none in time gets
// UNAVAILABLE.
//
// Writes are READ COMMITTED, so what a write decides by must be locked by it first (the queries lock_… do
// that). A transaction that another one was in the way of is run again, a few times. A connection that breaks
// is thrown away, with all that are idle, and the transaction is run once more on a new one: unless it broke
// during COMMIT, when nobody knows what became of it, and the caller gets UNAVAILABLE.
class PostgresPool final : public SqlPool {
 public:
  // Connects, and brings the database to this program's schema. Errors: see OpenPostgres.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<PostgresPool>> Open(const PostgresOptions& options);

  // A connection of its own for who waits for notices; not counted.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<PostgresDb>> Connect() const {
    return PostgresDb::Open(options_, queries_);
  }

 private:
  PostgresPool(PostgresOptions options, NamedQueries queries)
      : options_(std::move(options)), queries_(std::move(queries)) {}

  absl::Status RunWrite(Transaction body) override;
  absl::Status RunRead(Transaction body) override;
  absl::Status Run(const char* begin, Transaction body) ABSL_LOCKS_EXCLUDED(mutex_);

  // What is to be done after a transaction that has failed.
  enum class Next { kGiveUp, kAgain, kReconnect };
  // One transaction on `db`.
  static absl::Status RunOn(PostgresDb& db, const char* begin, Transaction body, Next* next);

  absl::StatusOr<std::unique_ptr<PostgresDb>> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  void Return(std::unique_ptr<PostgresDb> db) ABSL_LOCKS_EXCLUDED(mutex_);

  const PostgresOptions options_;
  const NamedQueries queries_;

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<PostgresDb>> idle_ ABSL_GUARDED_BY(mutex_);
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_POSTGRES_POOL_H_
