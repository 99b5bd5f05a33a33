// What changes training runs.
#include "server/queue/sql_training_store.h"

#include "absl/strings/str_cat.h"
#include "server/queue/sql_reads.h"

namespace svi::server {
namespace {

bool MakesLora(const v1::TrainingSpec& spec) { return spec.objective() != v1::OBJECTIVE_FULL; }

absl::Status InsertRun(SqlDb& db, const TrainingRow& row) {
  const std::string spec = row.spec.SerializeAsString();
  return db
      .Query("insert_run", row.id, row.tenant, static_cast<int>(row.state), row.lora_name, row.ready_since_us,
             row.create_time_us, row.update_time_us, Blob{spec})
      .Run();
}

absl::StatusOr<bool> IsTaken(SqlDb& db, const std::string& lora_name) {
  return db.Query("lora_name_taken", lora_name).Step();
}

absl::StatusOr<TrainingRow> LockLeasedRun(SqlDb& db, const TrainingLease& lease) {
  SVI_RETURN_IF_ERROR(db.Query("lock_run", lease.run_id).Step().status());
  return LoadLeasedRun(db, lease);
}

v1::TrainingEvent Started(const std::string& worker, uint32_t attempt) {
  v1::TrainingEvent event;
  event.mutable_started()->set_worker(worker);
  event.mutable_started()->set_attempt(attempt);
  return event;
}

v1::TrainingEvent AttemptFailed(const TrainingRow& run, const JobStore::FailedAttempt& failure) {
  v1::TrainingEvent event;
  event.mutable_attempt_failed()->set_attempt(run.attempts);
  event.mutable_attempt_failed()->set_max_attempts(failure.max_attempts);
  *event.mutable_attempt_failed()->mutable_error() = failure.error;
  return event;
}

v1::Lora MakeLora(const TrainingRow& run, const FinishedRun& finished, int64_t now_us) {
  v1::Lora lora;
  lora.set_name(absl::StrCat("loras/", run.lora_name));
  lora.set_size_bytes(finished.lora->size);
  lora.set_sha256(finished.lora->sha256);
  lora.set_rank(finished.rank);
  lora.set_variant(run.spec.variant() == v1::VARIANT_UNSPECIFIED ? v1::VARIANT_PRO : run.spec.variant());
  lora.set_training_run(absl::StrCat("trainingRuns/", run.id));
  *lora.mutable_create_time() = ToTimestamp(now_us);
  return lora;
}

// Adds the LoRA, with its event.
absl::Status Publish(SqlDb& db, TrainingChange& change, const FinishedRun& finished) {
  v1::TrainingEvent event;
  *event.mutable_published() = MakeLora(change.run, finished, change.now_us());
  const std::string lora = event.published().SerializeAsString();
  const ArtifactRef& file = *finished.lora;
  SVI_RETURN_IF_ERROR(db.Query("insert_lora", change.run.lora_name, change.run.id, Blob{lora}, file.key,
                               file.size, Blob{file.sha256})
                          .Run());
  change.run.published = change.run.lora_name;
  return change.Emit(std::move(event));
}

}  // namespace

absl::StatusOr<v1::TrainingRun> SqlTrainingStore::CreateRun(const NewTrainingRun& run, absl::Time now,
                                                            bool* replayed, bool* name_taken) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::TrainingRun> {
    *replayed = *name_taken = false;
    SVI_ASSIGN_OR_RETURN(
        const std::optional<std::string> earlier,
        FindReplayed(db, "find_run_request_id", run.tenant, run.request_id, run.request_hash));
    if (earlier.has_value()) {
      *replayed = true;
      SVI_ASSIGN_OR_RETURN(TrainingRow made, LoadRun(db, *earlier));
      AddLiveProgress(made);
      return ToTrainingRun(made);
    }
    TrainingRow row;
    row.id = run.id;
    row.tenant = run.tenant;
    row.spec = run.spec;
    if (MakesLora(row.spec)) row.lora_name = row.spec.lora_name().empty() ? row.id : row.spec.lora_name();
    row.ready_since_us = row.create_time_us = row.update_time_us = ToMicros(now);
    SVI_ASSIGN_OR_RETURN(*name_taken, IsTaken(db, row.lora_name));
    if (*name_taken) {
      return absl::AlreadyExistsError(
          absl::StrCat("a LoRA, or a training run that has not ended, has the name ", row.lora_name));
    }
    SVI_RETURN_IF_ERROR(InsertRun(db, row));
    if (!run.request_id.empty()) {
      SVI_RETURN_IF_ERROR(
          db.Query("insert_run_request_id", run.tenant, run.request_id, Blob{run.request_hash}, row.id)
              .Run());
    }
    TrainingChange change(db, std::move(row), now);
    SVI_RETURN_IF_ERROR(change.Move(TrainingStep::kCreated));
    SVI_RETURN_IF_ERROR(change.Save());
    return ToTrainingRun(change.run);
  });
}

void SqlTrainingStore::AddLiveProgress(TrainingRow& row) const {
  if (row.state != v1::TRAINING_STATE_RUNNING) return;
  absl::MutexLock lock(&live_mutex_);
  const auto live = live_.find(row.id);
  if (live != live_.end() && live->second.epoch == row.epoch) row.progress = live->second.progress;
}

template <typename Load, typename Body>
absl::StatusOr<v1::TrainingRun> SqlTrainingStore::Change(absl::Time now, const Load& load, const Body& body) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::TrainingRun> {
    SVI_ASSIGN_OR_RETURN(TrainingRow row, load(db));
    AddLiveProgress(row);
    const uint64_t before = row.last_sequence;
    TrainingChange change(db, std::move(row), now);
    SVI_RETURN_IF_ERROR(body(db, change));
    if (change.run.last_sequence == before) return ToTrainingRun(change.run);  // nothing has happened
    SVI_RETURN_IF_ERROR(change.Save());
    absl::MutexLock lock(&live_mutex_);
    live_.erase(change.run.id);
    return ToTrainingRun(change.run);
  });
}

absl::StatusOr<v1::TrainingRun> SqlTrainingStore::CancelRun(const std::string& id, absl::Time now) {
  return Change(
      now, [&](SqlDb& db) { return LockAndLoadRun(db, id); },
      [&](SqlDb&, TrainingChange& change) -> absl::Status {
        if (IsFinal(change.run.state)) return absl::OkStatus();
        return change.Move(TrainingStep::kCancelled);
      });
}

absl::StatusOr<LeasedRun> SqlTrainingStore::AcquireRun(const std::string& id, const std::string& worker,
                                                       absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<LeasedRun> {
    SVI_ASSIGN_OR_RETURN(const bool free, db.Query("try_lock_run", id).Step());
    SVI_ASSIGN_OR_RETURN(TrainingRow row, LoadRun(db, id));
    // Most likely another server leases it just now.
    if (!free) return absl::FailedPreconditionError("the training run is being changed");
    TrainingChange change(db, std::move(row), now);
    ++change.run.epoch;
    ++change.run.attempts;
    change.run.worker = worker;
    SVI_RETURN_IF_ERROR(change.Move(TrainingStep::kLeased));
    SVI_RETURN_IF_ERROR(change.Emit(Started(worker, change.run.attempts)));
    SVI_RETURN_IF_ERROR(change.Save());
    return LeasedRun{{id, change.run.epoch}, change.run.attempts, change.run.spec};
  });
}

absl::Status SqlTrainingStore::ClaimRun(const TrainingLease& lease, const std::string& worker) {
  return pool_->Write([&](SqlDb& db) -> absl::Status {
    SVI_ASSIGN_OR_RETURN(const int claimed,
                         db.Query("claim_run", lease.run_id, lease.epoch, worker).RunAndCountChanges());
    return claimed == 1 ? absl::OkStatus() : absl::AbortedError("the lease is not the worker's current one");
  });
}

absl::Status SqlTrainingStore::SetProgress(const TrainingLease& lease, const v1::TrainingProgress& progress,
                                           absl::Time now) {
  // A transaction that changes nothing does not touch the disk, and keeps this apart from changes of state.
  return pool_->Write([&](SqlDb& db) -> absl::Status {
    SVI_RETURN_IF_ERROR(LockLeasedRun(db, lease).status());
    bool due = false;
    {
      absl::MutexLock lock(&live_mutex_);
      LiveProgress& live = live_[lease.run_id];
      if (live.epoch != lease.epoch) live = LiveProgress();
      live.epoch = lease.epoch;
      live.progress = progress;
      due = now - live.stored >= kProgressInterval;
      if (due) live.stored = now;
    }
    if (!due) return absl::OkStatus();
    const std::string bytes = progress.SerializeAsString();
    return db.Query("update_run_progress", Blob{bytes}, lease.run_id).Run();
  });
}

absl::StatusOr<v1::TrainingRun> SqlTrainingStore::CommitRun(const TrainingLease& lease,
                                                            const FinishedRun& finished, absl::Time now) {
  return Change(
      now, [&](SqlDb& db) { return LockLeasedRun(db, lease); },
      [&](SqlDb& db, TrainingChange& change) -> absl::Status {
        if (MakesLora(change.run.spec) != finished.lora.has_value()) {
          return absl::InvalidArgumentError("a run publishes a LoRA if its objective is LORA, and only then");
        }
        change.run.progress = finished.progress;
        if (finished.lora.has_value()) SVI_RETURN_IF_ERROR(Publish(db, change, finished));
        return change.Move(TrainingStep::kCommitted);
      });
}

absl::StatusOr<v1::TrainingRun> SqlTrainingStore::FailRun(const TrainingLease& lease,
                                                          const JobStore::FailedAttempt& failure,
                                                          absl::Time now) {
  return Change(
      now, [&](SqlDb& db) { return LockLeasedRun(db, lease); },
      [&](SqlDb&, TrainingChange& change) -> absl::Status {
        TrainingRow& run = change.run;
        if (!failure.handed_back) SVI_RETURN_IF_ERROR(change.Emit(AttemptFailed(run, failure)));
        if (!failure.handed_back && (failure.permanent || run.attempts >= failure.max_attempts)) {
          run.error = failure.error;
          return change.Move(TrainingStep::kAttemptFailedForGood);
        }
        if (failure.handed_back) --run.attempts;
        run.ready_since_us = change.now_us();
        return change.Move(TrainingStep::kAttemptEnded);
      });
}

absl::StatusOr<ArtifactRef> SqlTrainingStore::DeleteLora(const std::string& name) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<ArtifactRef> {
    SVI_ASSIGN_OR_RETURN(const StoredLora stored, LoadLora(db, name));
    SVI_RETURN_IF_ERROR(db.Query("delete_lora", name).Run());
    return stored.file;
  });
}

}  // namespace svi::server
