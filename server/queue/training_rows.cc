#include "server/queue/training_rows.h"

#include "absl/strings/str_cat.h"
#include "server/queue/sql_reads.h"
#include "server/queue/status_macros.h"
#include "server/queue/video_change.h"

namespace svi::server {
namespace {

// The message in a column that may be NULL.
template <typename Message>
absl::Status ReadOptional(const Statement& row, int column, std::optional<Message>& message) {
  return row.IsNull(column) ? absl::OkStatus() : ParseStored(row.Bytes(column), message.emplace());
}

// Keeps the bytes that a Blob refers to.
template <typename Message>
std::optional<std::string> Serialized(const std::optional<Message>& message) {
  return message.has_value() ? std::optional(message->SerializeAsString()) : std::nullopt;
}

std::optional<Blob> ToBlob(const std::optional<std::string>& bytes) {
  return bytes.has_value() ? std::optional(Blob{*bytes}) : std::nullopt;
}

}  // namespace

absl::StatusOr<TrainingRow> ReadTrainingRow(const Statement& row) {
  TrainingRow run;
  int column = 0;
  run.id = row.Bytes(column++);
  run.tenant = row.Bytes(column++);
  run.state = static_cast<v1::TrainingState>(row.Int(column++));
  run.lora_name = row.Bytes(column++);
  run.epoch = static_cast<uint64_t>(row.Int(column++));
  run.attempts = static_cast<uint32_t>(row.Int(column++));
  run.worker = row.Bytes(column++);
  run.ready_since_us = row.Int(column++);
  run.last_sequence = static_cast<uint64_t>(row.Int(column++));
  SVI_RETURN_IF_ERROR(ReadOptional(row, column++, run.progress));
  SVI_RETURN_IF_ERROR(ReadOptional(row, column++, run.error));
  run.create_time_us = row.Int(column++);
  run.update_time_us = row.Int(column++);
  if (!row.IsNull(column)) run.end_time_us = row.Int(column);
  ++column;
  SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(column++), run.spec));
  if (!row.IsNull(column)) run.published = row.Bytes(column);
  run.here = row.Int(++column) != 0;
  return run;
}

absl::StatusOr<TrainingRow> LoadRun(SqlDb& db, const std::string& id) {
  Statement row = db.Query("get_run", id);
  SVI_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("there is no training run trainingRuns/", id));
  return ReadTrainingRow(row);
}

absl::StatusOr<TrainingRow> LockAndLoadRun(SqlDb& db, const std::string& id) {
  SVI_RETURN_IF_ERROR(db.Query("lock_run", id).Step().status());
  return LoadRun(db, id);
}

absl::StatusOr<TrainingRow> LoadLeasedRun(SqlDb& db, const TrainingLease& lease) {
  SVI_ASSIGN_OR_RETURN(TrainingRow run, LoadRun(db, lease.run_id));
  if (run.state != v1::TRAINING_STATE_RUNNING || run.epoch != lease.epoch || !run.here) {
    return absl::AbortedError(
        absl::StrCat("the lease of epoch ", lease.epoch, " is not the run's current one"));
  }
  return run;
}

v1::TrainingRun ToTrainingRun(const TrainingRow& row) {
  v1::TrainingRun run;
  run.set_name(absl::StrCat("trainingRuns/", row.id));
  run.set_state(row.state);
  *run.mutable_spec() = row.spec;
  if (row.progress.has_value()) *run.mutable_progress() = *row.progress;
  if (row.error.has_value()) *run.mutable_error() = *row.error;
  if (!row.published.empty()) run.set_lora(absl::StrCat("loras/", row.published));
  run.set_worker(row.worker);
  run.set_attempt(row.attempts);
  run.set_tenant(row.tenant);
  run.set_last_sequence(row.last_sequence);
  *run.mutable_create_time() = ToTimestamp(row.create_time_us);
  *run.mutable_update_time() = ToTimestamp(row.update_time_us);
  if (row.end_time_us.has_value()) *run.mutable_end_time() = ToTimestamp(*row.end_time_us);
  return run;
}

absl::StatusOr<StoredLora> LoadLora(SqlDb& db, const std::string& name) {
  Statement row = db.Query("get_lora", name);
  SVI_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("there is no LoRA loras/", name));
  StoredLora stored;
  SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(0), stored.lora));
  stored.file = ReadArtifact(row, 1);
  return stored;
}

absl::Status TrainingChange::Emit(v1::TrainingEvent event) {
  return AppendEvent(db_, "insert_run_event", run.id, now_us_, std::move(event), &run.last_sequence);
}

absl::Status TrainingChange::Move(TrainingStep step) {
  SVI_ASSIGN_OR_RETURN(run.state, NextState(run.state, step));
  if (IsFinal(run.state)) run.end_time_us = now_us_;
  v1::TrainingEvent event;
  event.mutable_state_changed()->set_state(run.state);
  if (run.error.has_value()) *event.mutable_state_changed()->mutable_error() = *run.error;
  return Emit(std::move(event));
}

absl::Status TrainingChange::Save() {
  run.update_time_us = now_us_;
  const auto progress = Serialized(run.progress);
  const auto error = Serialized(run.error);
  return ExpectOneChange(db_.Query("update_run", static_cast<int>(run.state), run.epoch, run.attempts,
                                   run.worker, run.ready_since_us, run.last_sequence, ToBlob(progress),
                                   ToBlob(error), run.update_time_us, run.end_time_us, run.id)
                             .RunAndCountChanges());
}

}  // namespace svi::server
