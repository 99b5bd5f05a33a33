// What the stores read alike: rows, newest-first pages, event logs, replays of a request_id.
#ifndef SVI_SERVER_QUEUE_SQL_READS_H_
#define SVI_SERVER_QUEUE_SQL_READS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/queue/sql_db.h"
#include "server/queue/status_macros.h"
#include "server/queue/video_rows.h"

namespace svi::server {

// `read(row)`, which returns a Status, for each row; ends with its first error.
template <typename Read>
[[nodiscard]] absl::Status ForEachRow(Statement rows, const Read& read) {
  while (true) {
    SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    SVI_RETURN_IF_ERROR(read(rows));
  }
}

// (create time in µs, id): a place in a list that is newest first.
using Position = std::pair<int64_t, std::string>;

// The queries of such a list: of a tenant (tenant, create time, id, limit), and of one state of it (tenant,
// state, …).
struct NewestFirst {
  const char* all;
  const char* of_state;
};

// The first `limit` rows after `after`, newest first; `*next` is the last one's place if there are more. A
// Row has create_time_us and id; `read(statement)` makes one. Each state has its own index range; they are
// merged here, so that few running ones are found among very many that have ended.
template <typename Row, typename State, typename Read>
[[nodiscard]] absl::StatusOr<std::vector<Row>> ReadPage(SqlDb& db, const NewestFirst& queries,
                                                        const std::string& tenant,
                                                        const std::vector<State>& states, int limit,
                                                        const std::optional<Position>& after,
                                                        const Read& read, std::optional<Position>* next) {
  const Position from = after.value_or(Position(std::numeric_limits<int64_t>::max(), ""));
  const int64_t one_more = int64_t{limit} + 1;  // tells whether there is another page
  std::vector<Row> rows;
  const auto append = [&](const Statement& statement) -> absl::Status {
    SVI_ASSIGN_OR_RETURN(Row row, read(statement));
    rows.push_back(std::move(row));
    return absl::OkStatus();
  };
  if (states.empty()) {
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query(queries.all, tenant, from.first, from.second, one_more), append));
  }
  for (const State state : std::set<State>(states.begin(), states.end())) {
    SVI_RETURN_IF_ERROR(ForEachRow(
        db.Query(queries.of_state, tenant, static_cast<int>(state), from.first, from.second, one_more),
        append));
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.create_time_us, a.id) > std::tie(b.create_time_us, b.id);
  });
  if (rows.size() > static_cast<size_t>(limit)) {
    rows.resize(limit);
    *next = Position(rows.back().create_time_us, rows.back().id);
  }
  return rows;
}

// The events of `query` (id, sequence, limit) with sequence > after.
template <typename Event>
[[nodiscard]] absl::StatusOr<std::vector<Event>> ReadEvents(SqlDb& db, absl::string_view query,
                                                            const std::string& id, uint64_t after,
                                                            int limit) {
  // A client may ask for more than a signed column can hold; there is nothing beyond it.
  const int64_t from = static_cast<int64_t>(std::min<uint64_t>(after, std::numeric_limits<int64_t>::max()));
  std::vector<Event> events;
  SVI_RETURN_IF_ERROR(ForEachRow(db.Query(query, id, from, limit), [&](const Statement& row) {
    return ParseStored(row.Bytes(0), events.emplace_back());
  }));
  return events;
}

// Adds the rows (state, count) to `counts`, in which every state from `first` to `last` gets a place: a gauge
// of one that has emptied goes back to 0.
template <typename State>
[[nodiscard]] absl::Status CountStates(Statement rows, State first, State last,
                                       std::vector<std::pair<State, int64_t>>& counts) {
  for (int state = first; state <= last; ++state) counts.emplace_back(static_cast<State>(state), 0);
  return ForEachRow(std::move(rows), [&](const Statement& row) {
    for (auto& [state, count] : counts) {
      if (state == row.Int(0)) count = row.Int(1);
    }
    return absl::OkStatus();
  });
}

// The id that an earlier request of the tenant with this request_id made; nullopt if there was none. `query`:
// (tenant, request_id) to (hash, id). ALREADY_EXISTS: it had another hash.
[[nodiscard]] absl::StatusOr<std::optional<std::string>> FindReplayed(SqlDb& db, absl::string_view query,
                                                                      const std::string& tenant,
                                                                      const std::string& request_id,
                                                                      const std::string& request_hash);

// Appends `event` to the log of `id` with the next sequence number. `query`: (id, sequence, event).
template <typename Event>
[[nodiscard]] absl::Status AppendEvent(SqlDb& db, absl::string_view query, const std::string& id,
                                       int64_t now_us, Event event, uint64_t* last_sequence) {
  event.set_sequence(++*last_sequence);
  *event.mutable_time() = ToTimestamp(now_us);
  const std::string bytes = event.SerializeAsString();
  return db.Query(query, id, *last_sequence, Blob{bytes}).Run();
}

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_READS_H_
