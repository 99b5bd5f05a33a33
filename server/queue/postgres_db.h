// One PostgreSQL connection with its prepared statements, and PostgreSQL's errors as absl::Status.
#ifndef SVI_SERVER_QUEUE_POSTGRES_DB_H_
#define SVI_SERVER_QUEUE_POSTGRES_DB_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/queue/named_queries.h"
#include "server/queue/sql_db.h"

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

namespace svi::server {

struct PostgresOptions {
  // postgresql://USER@HOST:PORT/DATABASE?…, or what else libpq takes: "host=… dbname=…". What it leaves open
  // comes from libpq's environment (PGPASSFILE, PGSSLMODE, …). Never logged.
  std::string url;
  // Wins over the one in `url` and over PGPASSFILE; empty: it is from there. Never logged.
  std::string password;
  // Who works with the database: the leases that it takes are its own. Empty: there is one server only.
  std::string server_id;
  // Connections of the stores; whoever finds them all in use waits for up to `wait_limit`.
  int max_connections = 8;
  absl::Duration wait_limit = absl::Seconds(5);
  // How long connecting may take, and one statement, with its answer.
  absl::Duration connect_limit = absl::Seconds(5);
  absl::Duration statement_limit = absl::Seconds(15);
};

// UNAVAILABLE: the server is away, busy, full, read-only, or has cancelled the statement. DATA_LOSS: damaged.
// INTERNAL: a mistake of ours. `state`: SQLSTATE, five characters. Never holds SQL or data.
[[nodiscard]] absl::Status PostgresStatus(absl::string_view state);

struct PgResultDeleter {
  void operator()(PGresult* result) const;
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

// A message of NOTIFY.
struct PgNotice {
  std::string channel;
  std::string payload;
};

class PostgresDb final : public SqlDb {
 public:
  // UNAVAILABLE: cannot be reached, or refuses the connection; the message says why, for the operator,
  // without the password. INVALID_ARGUMENT: `url` is malformed. `queries` must outlive the connection.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<PostgresDb>> Open(const PostgresOptions& options,
                                                                        const NamedQueries& queries);
  ~PostgresDb() override;

  [[nodiscard]] absl::Status Exec(const std::string& sql) override;
  [[nodiscard]] absl::Status PrepareAll() override;
  // Waits for as long as it takes: another server may be migrating.
  [[nodiscard]] absl::Status BeginExclusive() override;
  [[nodiscard]] bool in_transaction() const override;

  // COMMIT. An error with broken(): whether it was committed is not known.
  [[nodiscard]] absl::Status Commit();

  // The connection is of no more use: it is lost, or the server is not the primary any more.
  [[nodiscard]] bool broken() const { return broken_; }
  // The last error was another transaction's doing: run again, it may succeed.
  [[nodiscard]] bool conflicted() const { return conflicted_; }

  // Sends a prepared query and waits for all of its answer.
  [[nodiscard]] absl::StatusOr<PgResult> Run(const std::string& name, const std::vector<const char*>& values,
                                             const std::vector<int>& lengths);

  // For those that LISTEN. The socket becomes readable when something may have come.
  [[nodiscard]] int socket() const;
  [[nodiscard]] absl::StatusOr<std::vector<PgNotice>> TakeNotices();

 private:
  PostgresDb(PGconn* connection, const NamedQueries& queries, absl::Duration statement_limit)
      : connection_(connection), queries_(queries), statement_limit_(statement_limit) {}
  Statement Prepare(absl::string_view name) override;
  absl::Status Connect(absl::Time deadline);
  absl::Status SetUp(const PostgresOptions& options);
  // The last result of what was sent; its error, if it is one.
  absl::StatusOr<PgResult> Await(absl::Time deadline);
  absl::Status Lost();
  absl::Status Failed(const PGresult* result);

  PGconn* const connection_;
  const NamedQueries& queries_;
  const absl::Duration statement_limit_;
  bool broken_ = false;
  bool conflicted_ = false;
  absl::flat_hash_map<std::string, std::unique_ptr<SqlCursor>> statements_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_POSTGRES_DB_H_
