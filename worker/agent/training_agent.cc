#include "worker/agent/training_agent.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "worker/agent/failure.h"
#include "worker/agent/lease_text.h"

namespace svi::worker {

TrainingAgent::TrainingAgent(TrainingBackend* backend, ConnectionMetrics* metrics, ConnectionOptions options)
    : LeaseAgent(std::move(options)), backend_(backend), metrics_(metrics) {}

TrainingAgent::~TrainingAgent() { Abandon(); }

void TrainingAgent::Abandon() {
  if (training_) training_->stop = true;
}

void TrainingAgent::OnDraining() {
  const bool trains = lease_ && lease_->phase == Phase::kTraining;
  spdlog::info(trains ? "draining: stopping the run with a checkpoint" : "draining");
  if (!trains) return;
  lease_->work->stop = true;
  // Else it is handed back when there is a checkpoint.
  if (!lease_->started) HandBackLease();
}

void TrainingAgent::HandBackLease() {
  if (!lease_ || lease_->phase == Phase::kFailed) return;
  spdlog::info("lease {}: handed back", LeaseText(lease_->work->assign.lease()));
  Fail(HandedBack(lease_->work->assign.lease()), "handed_back");
}

void TrainingAgent::StartTraining() {
  if (training_ || !lease_ || lease_->phase != Phase::kTraining || lease_->started) return;
  lease_->started = true;
  training_ = lease_->work;
  engine_thread_.Run([this, work = training_, mailbox = mailbox_] {
    auto trained = std::make_shared<absl::StatusOr<Trained>>(Train(work));
    mailbox->Post([this, work, trained] { OnTrained(work, std::move(*trained)); });
  });
}

absl::StatusOr<TrainingAgent::Trained> TrainingAgent::Train(const std::shared_ptr<RunWork>& work) {
  TrainHooks hooks;
  hooks.stop = [work] { return work->stop.load(); };
  hooks.progress = [this, work, mailbox = mailbox_](const v1::TrainingProgress& progress) {
    mailbox->Post([this, work, progress] { OnProgress(work, progress); });
  };
  absl::StatusOr<TrainedRun> run = backend_->Train(work->run_id, work->assign.spec(), hooks);
  if (!run.ok()) return run.status();
  Trained trained;
  trained.rank = run->rank;
  if (run->lora_path.empty()) return trained;
  absl::StatusOr<std::unique_ptr<UploadFile>> file = UploadFile::Open(run->lora_path);
  if (!file.ok()) return file.status();
  trained.lora = *std::move(file);
  return trained;
}

// Only the newest waits to be sent: a slow connection must not pile it up.
void TrainingAgent::OnProgress(const std::shared_ptr<RunWork>& work, v1::TrainingProgress progress) {
  if (!lease_ || lease_->work != work || lease_->phase != Phase::kTraining) return;
  lease_->progress = std::move(progress);
  lease_->progress_due = true;
  PumpWrites();
}

void TrainingAgent::OnTrained(const std::shared_ptr<RunWork>& work, absl::StatusOr<Trained> trained) {
  training_.reset();
  if (lease_ && lease_->work == work && lease_->phase == Phase::kTraining) {
    const v1::RunLease& id = work->assign.lease();
    if (trained.ok()) {
      spdlog::info("lease {}: trained, {} bytes", LeaseText(id), trained->lora ? trained->lora->size() : 0);
      lease_->trained = *std::move(trained);
      lease_->phase = Phase::kUploading;
      PumpWrites();
    } else if (absl::IsCancelled(trained.status()) && draining()) {
      HandBackLease();
    } else {
      spdlog::error("lease {}: failed: {}", LeaseText(id), trained.status().ToString());
      Fail(ToTrainingFailed(id, trained.status()), "failed");
    }
  } else if (!lease_ && registered()) {
    SendHeartbeat();  // names no lease: the server learns that the backend is free again
  }
  StartTraining();
}

void TrainingAgent::SetFailed(v1::TrainingFailed failure, const char* outcome) {
  lease_->work->stop = true;
  lease_->failure = std::move(failure);
  lease_->phase = Phase::kFailed;
  metrics_->CountLease(outcome);
}

void TrainingAgent::Fail(v1::TrainingFailed failure, const char* outcome) {
  SetFailed(std::move(failure), outcome);
  PumpWrites();
}

void TrainingAgent::DropLease(const char* outcome, bool forget) {
  lease_->work->stop = true;
  if (forget) {
    // After the run, if it is still being stopped.
    engine_thread_.Run([this, work = lease_->work] { backend_->Forget(work->run_id); });
  }
  lease_.reset();
  metrics_->SetBusy(false);
  if (outcome) metrics_->CountLease(outcome);
}

}  // namespace svi::worker
