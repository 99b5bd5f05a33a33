// The calls that change nothing.
#include "absl/strings/str_cat.h"
#include "server/queue/sql_reads.h"
#include "server/queue/sql_training_store.h"

namespace svi::server {

absl::StatusOr<v1::TrainingRun> SqlTrainingStore::GetRun(const std::string& id) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<v1::TrainingRun> {
    SVI_ASSIGN_OR_RETURN(TrainingRow row, LoadRun(db, id));
    AddLiveProgress(row);
    return ToTrainingRun(row);
  });
}

absl::StatusOr<std::string> SqlTrainingStore::TenantOf(const std::string& id) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::string> {
    Statement run = db.Query("tenant_of_run", id);
    SVI_ASSIGN_OR_RETURN(const bool found, run.Step());
    if (!found) return absl::NotFoundError(absl::StrCat("there is no training run trainingRuns/", id));
    return run.Bytes(0);
  });
}

absl::StatusOr<TrainingRunPage> SqlTrainingStore::ListRuns(const std::string& tenant,
                                                           const std::vector<v1::TrainingState>& states,
                                                           int limit, const std::optional<Position>& after) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<TrainingRunPage> {
    TrainingRunPage page;
    SVI_ASSIGN_OR_RETURN(std::vector<TrainingRow> rows,
                         ReadPage<TrainingRow>(db, {"list_runs", "list_runs_of_state"}, tenant, states, limit,
                                               after, ReadTrainingRow, &page.next));
    for (TrainingRow& row : rows) {
      AddLiveProgress(row);
      page.runs.push_back(ToTrainingRun(row));
    }
    return page;
  });
}

absl::StatusOr<std::vector<v1::TrainingEvent>> SqlTrainingStore::ListRunEvents(const std::string& id,
                                                                               uint64_t after, int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<v1::TrainingEvent>> {
    SVI_RETURN_IF_ERROR(LoadRun(db, id).status());
    return ReadEvents<v1::TrainingEvent>(db, "list_run_events", id, after, limit);
  });
}

absl::StatusOr<std::vector<QueuedRun>> SqlTrainingStore::ListQueued(int limit) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<QueuedRun>> {
    std::vector<QueuedRun> queued;
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_queued_runs", limit), [&](const Statement& row) {
      queued.push_back({row.Bytes(0), row.Bytes(3), row.Bytes(1), absl::FromUnixMicros(row.Int(2))});
      return absl::OkStatus();
    }));
    return queued;
  });
}

absl::Status SqlTrainingStore::CheckRun(const TrainingLease& lease) {
  return pool_->Read([&](SqlDb& db) -> absl::Status { return LoadLeasedRun(db, lease).status(); });
}

absl::Status SqlTrainingStore::CommittedBy(const TrainingLease& lease) {
  return pool_->Read([&](SqlDb& db) -> absl::Status {
    SVI_ASSIGN_OR_RETURN(const TrainingRow row, LoadRun(db, lease.run_id));
    // Nothing leases a run that has succeeded: its epoch stays the last one's.
    if (row.state == v1::TRAINING_STATE_SUCCEEDED && row.epoch == lease.epoch) return absl::OkStatus();
    return absl::NotFoundError("the lease committed nothing");
  });
}

absl::StatusOr<std::vector<TrainingStore::HeldLease>> SqlTrainingStore::ListHeldRuns() {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<HeldLease>> {
    std::vector<HeldLease> held;
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_held_runs"), [&](const Statement& row) {
      held.push_back({{row.Bytes(0), static_cast<uint64_t>(row.Int(1))}, row.Bytes(2)});
      return absl::OkStatus();
    }));
    return held;
  });
}

absl::StatusOr<StoredLora> SqlTrainingStore::GetLora(const std::string& name) {
  return pool_->Read([&](SqlDb& db) { return LoadLora(db, name); });
}

absl::StatusOr<std::vector<v1::Lora>> SqlTrainingStore::FindLoras(const std::vector<std::string>& names) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<v1::Lora>> {
    std::vector<v1::Lora> loras;
    for (const std::string& name : names) {
      absl::StatusOr<StoredLora> stored = LoadLora(db, name);
      if (absl::IsNotFound(stored.status())) continue;
      if (!stored.ok()) return stored.status();
      loras.push_back(std::move(stored->lora));
    }
    return loras;
  });
}

absl::StatusOr<LoraPage> SqlTrainingStore::ListLoras(int limit, const std::string& after) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<LoraPage> {
    LoraPage page;
    SVI_RETURN_IF_ERROR(ForEachRow(
        db.Query("list_loras", after, int64_t{limit} + 1),
        [&](const Statement& row) { return ParseStored(row.Bytes(0), page.loras.emplace_back()); }));
    if (page.loras.size() > static_cast<size_t>(limit)) {
      page.loras.resize(limit);
      page.next = page.loras.back().name().substr(sizeof("loras/") - 1);
    }
    return page;
  });
}

absl::StatusOr<TrainingStore::Counts> SqlTrainingStore::CountRuns() {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<Counts> {
    Counts counts;
    SVI_RETURN_IF_ERROR(CountStates(db.Query("count_runs"), v1::TRAINING_STATE_QUEUED,
                                    v1::TRAINING_STATE_CANCELLED, counts.runs));
    Statement loras = db.Query("count_loras");
    SVI_RETURN_IF_ERROR(loras.Step().status());
    counts.loras = loras.Int(0);
    return counts;
  });
}

}  // namespace svi::server
