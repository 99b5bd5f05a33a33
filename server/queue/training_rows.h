// Rows of training runs and LoRAs, and one change of a run inside a write transaction.
#ifndef SVI_SERVER_QUEUE_TRAINING_ROWS_H_
#define SVI_SERVER_QUEUE_TRAINING_ROWS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/queue/sql_db.h"
#include "server/queue/training_states.h"
#include "server/queue/training_store.h"
#include "server/queue/video_rows.h"

namespace svi::server {

struct TrainingRow {
  std::string id;
  std::string tenant;
  v1::TrainingState state = v1::TRAINING_STATE_UNSPECIFIED;
  std::string lora_name;
  uint64_t epoch = 0;
  uint32_t attempts = 0;
  std::string worker;
  int64_t ready_since_us = 0;
  uint64_t last_sequence = 0;
  std::optional<v1::TrainingProgress> progress;
  std::optional<v1::Failure> error;
  int64_t create_time_us = 0;
  int64_t update_time_us = 0;
  std::optional<int64_t> end_time_us;
  v1::TrainingSpec spec;
  std::string published;  // name of its LoRA, while there is one
  bool here = true;       // its lease, if it has one, is this server's
};

// Reads a row of get_run, list_runs or list_runs_of_state. DATA_LOSS if a message in it does not parse.
[[nodiscard]] absl::StatusOr<TrainingRow> ReadTrainingRow(const Statement& row);
// NOT_FOUND if there is no such run.
[[nodiscard]] absl::StatusOr<TrainingRow> LoadRun(SqlDb& db, const std::string& id);
// As LockVideo, then LoadRun.
[[nodiscard]] absl::StatusOr<TrainingRow> LockAndLoadRun(SqlDb& db, const std::string& id);
// Fences off whoever does not hold the run now, and the server that another has taken its lease from.
// ABORTED: not the current lease.
[[nodiscard]] absl::StatusOr<TrainingRow> LoadLeasedRun(SqlDb& db, const TrainingLease& lease);
[[nodiscard]] v1::TrainingRun ToTrainingRun(const TrainingRow& row);

// NOT_FOUND if there is no such LoRA.
[[nodiscard]] absl::StatusOr<StoredLora> LoadLora(SqlDb& db, const std::string& name);

// Order of use: change fields of `run`, Emit the events that come before the change of state, Move, Emit
// those that come after it, Save. The caller owns the transaction and rolls it back on any error.
class TrainingChange {
 public:
  TrainingChange(SqlDb& db, TrainingRow row, absl::Time now)
      : run(std::move(row)), db_(db), now_us_(ToMicros(now)) {}

  TrainingRow run;

  // Appends `event` to the run's log with the next sequence number.
  [[nodiscard]] absl::Status Emit(v1::TrainingEvent event);
  // Changes the state by the table of states, with an event state_changed (with run.error when it FAILED); a
  // final state sets the end time. FAILED_PRECONDITION: the step is illegal.
  [[nodiscard]] absl::Status Move(TrainingStep step);
  [[nodiscard]] absl::Status Save();

  [[nodiscard]] int64_t now_us() const { return now_us_; }

 private:
  SqlDb& db_;
  const int64_t now_us_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TRAINING_ROWS_H_
