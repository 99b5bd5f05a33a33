// Connections to one SQL database, and transactions on them.
#ifndef SVI_SERVER_QUEUE_SQL_POOL_H_
#define SVI_SERVER_QUEUE_SQL_POOL_H_

#include <optional>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/queue/sql_db.h"

namespace svi::server {

// Thread-safe. Shared by the stores that live in the database.
class SqlPool {
 public:
  virtual ~SqlPool() = default;

  // Runs `body(db)`, which returns a StatusOr or Status, in one transaction: committed if it is OK, else
  // rolled back. It may run more than once, each time in a new transaction, if an earlier one came to nothing
  // for a reason that is not its own; it must not change anything outside of the database that a second run
  // would not change alike.
  template <typename Body>
  auto Write(const Body& body) -> decltype(body(std::declval<SqlDb&>())) {
    return Keep(body, [this](Transaction kept) { return RunWrite(kept); });
  }

  // Runs `body(db)` on one snapshot; likewise.
  template <typename Body>
  auto Read(const Body& body) -> decltype(body(std::declval<SqlDb&>())) {
    return Keep(body, [this](Transaction kept) { return RunRead(kept); });
  }

 protected:
  using Transaction = absl::FunctionRef<absl::Status(SqlDb&)>;

  // Write and Read for a body that keeps its result to itself.
  virtual absl::Status RunWrite(Transaction body) = 0;
  virtual absl::Status RunRead(Transaction body) = 0;

 private:
  template <typename Body, typename Run>
  static auto Keep(const Body& body, const Run& run) -> decltype(body(std::declval<SqlDb&>())) {
    using Result = decltype(body(std::declval<SqlDb&>()));
    if constexpr (std::is_same_v<Result, absl::Status>) {
      return run(Transaction(body));
    } else {
      std::optional<Result> result;
      const auto kept = [&](SqlDb& db) -> absl::Status {
        result.emplace(body(db));
        return result->status();
      };
      absl::Status status = run(Transaction(kept));
      if (!status.ok()) return status;
      return *std::move(result);
    }
  }
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_POOL_H_
