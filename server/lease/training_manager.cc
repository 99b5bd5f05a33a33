#include "server/lease/training_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/strip.h"
#include "server/lease/trainer_messages.h"

namespace svi::server {
namespace {

// Runs looked at in one pass; there are fewer trainers.
constexpr int kCandidates = 256;

}  // namespace

void TrainingManager::Match(absl::Time now) {
  std::vector<TrainerSession*> idle = IdleSessions();
  if (idle.empty()) return;
  const auto queued = store_->ListQueued(kCandidates);
  if (!queued.ok()) {
    spdlog::error("the store does not list queued training runs: {}", queued.status().ToString());
    return;
  }
  for (const QueuedRun& run : *queued) {
    if (idle.empty()) return;
    // A lease that has ended but could not be settled yet still blocks its run.
    if (held_.count(run.run_id) > 0) continue;
    auto chosen = std::find_if(idle.begin(), idle.end(), [&run](const TrainerSession* session) {
      return session->name() == run.worker;
    });
    if (chosen == idle.end()) chosen = idle.begin();
    const absl::Status status = Assign(**chosen, run.run_id, now);
    if (status.ok()) {
      idle.erase(chosen);
    } else if (!absl::IsFailedPrecondition(status) && !absl::IsNotFound(status)) {
      spdlog::error("the store does not lease training run {}: {}", run.run_id, status.ToString());
      if (absl::IsUnavailable(status)) return;
    }
  }
}

absl::Status TrainingManager::Assign(TrainerSession& session, const std::string& run_id, absl::Time now) {
  auto leased = store_->AcquireRun(run_id, session.name(), now);
  if (!leased.ok()) return leased.status();
  const HeldRun& held = Give(session, leased->lease, leased->attempt);
  spdlog::info("lease {}: to worker {}, attempt {}", ToString(held.lease), session.id, held.attempt);
  v1::TrainerOrder order;
  *order.mutable_assign()->mutable_lease() = ToLeaseId(held.lease);
  *order.mutable_assign()->mutable_spec() = std::move(leased->spec);
  order.mutable_assign()->set_attempt(held.attempt);
  session.stream->Send(std::move(order));
  hub_->Changed(run_id);
  PublishState(session);
  return absl::OkStatus();
}

absl::Status TrainingManager::Handle(TrainerSession& session, const v1::TrainerMessage& message) {
  switch (message.message_case()) {
    case v1::TrainerMessage::kRegister:
      return OnRegister(session, message.register_());
    case v1::TrainerMessage::kHeartbeat:
      return OnHeartbeat(session, message.heartbeat());
    case v1::TrainerMessage::kProgress:
      return OnProgress(session, message.progress());
    case v1::TrainerMessage::kLoraChunk:
      return OnChunk(session, message.lora_chunk());
    case v1::TrainerMessage::kDone:
      return OnDone(session, message.done());
    case v1::TrainerMessage::kFailed:
      return OnFailed(session, message.failed());
    case v1::TrainerMessage::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the message is of no known kind");
}

absl::Status TrainingManager::OnProgress(TrainerSession& session, const v1::TrainerProgress& message) {
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr) return absl::OkStatus();
  const TrainingLease& lease = (*held)->lease;
  absl::Status status = CheckProgress(message.progress());
  if (status.ok()) {
    v1::TrainingProgress progress = message.progress();
    progress.set_phase(CleanText(progress.phase(), progress.phase().size()));
    status = store_->SetProgress(lease, progress, options_.clock());
    if (status.ok()) hub_->PublishProgress(lease.run_id, progress);
  }
  // Nothing hangs on it; a run that was cancelled just now is about to be told so.
  if (!status.ok()) {
    spdlog::warn("lease {}: progress of worker {} is not taken: {}", ToString(lease), session.id,
                 status.ToString());
  }
  return absl::OkStatus();
}

absl::Status TrainingManager::OnChunk(TrainerSession& session, const v1::LoraChunk& message) {
  absl::Status valid = CheckChunk(message);
  if (!valid.ok()) return valid;
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr || (*held)->storing) return absl::OkStatus();
  const absl::Status appended = (*held)->lora.Append(message.offset(), message.data());
  if (!appended.ok()) RefuseUpload(**held, appended);
  return absl::OkStatus();
}

absl::Status TrainingManager::OnDone(TrainerSession& session, const v1::TrainingDone& message) {
  auto parsed = ParseLease(message.lease());
  if (!parsed.ok()) return parsed.status();
  if (!IsHeld(*parsed) && store_->CommittedBy(*parsed).ok()) {
    AcceptAgain(session, *parsed);
    return absl::OkStatus();
  }
  auto current = Current(session, message.lease());
  if (!current.ok()) return current.status();
  if (*current == nullptr) return absl::OkStatus();
  HeldRun& held = **current;
  if (held.storing) return absl::OkStatus();  // said again, on a new stream
  if (const absl::Status valid = CheckDone(message, held.makes_lora); !valid.ok()) {
    RefuseUpload(held, absl::DataLossError(valid.message()));
    return absl::OkStatus();
  }
  FinishedRun finished;
  finished.progress = message.progress();
  if (!held.makes_lora) {
    held.outcome = std::move(finished);
    Settle(held);
    return absl::OkStatus();
  }
  finished.rank = message.rank();
  auto upload = std::make_shared<ArtifactUpload>(std::move(held.lora));
  StoreUpload(held, [upload, message, finished]() -> absl::StatusOr<FinishedRun> {
    auto lora = upload->Commit(message.lora_bytes(), message.lora_sha256());
    if (!lora.ok()) return lora.status();
    FinishedRun stored = finished;
    stored.lora = *std::move(lora);
    return stored;
  });
  return absl::OkStatus();
}

HeldRun TrainingManager::MakeHeld(const TrainingLease& lease, const std::string& worker_id) {
  const auto run = store_->GetRun(lease.run_id);
  // If the store does not tell now, it will have the last word when the run is committed.
  const bool makes_lora = !run.ok() || run->spec().objective() != v1::OBJECTIVE_FULL;
  return HeldRun(lease, worker_id, makes_lora,
                 ArtifactUpload(artifacts_, LoraKey(lease), options_.max_lora_bytes));
}

void TrainingManager::TellReceived(const HeldRun& held, v1::TrainerRegistered& registered) {
  registered.set_lora_bytes_received(held.lora.received());
}

absl::StatusOr<bool> TrainingManager::RecallCommitted(const TrainingLease& lease,
                                                      v1::TrainerRegistered* registered) {
  const absl::Status committed = store_->CommittedBy(lease);
  if (absl::IsUnavailable(committed)) return committed;
  if (!committed.ok()) return false;
  if (registered == nullptr) return true;
  // All of it, unless the LoRA has been deleted since, or there is none.
  const auto run = store_->GetRun(lease.run_id);
  if (!run.ok() || run->lora().empty()) return true;
  const auto stored = store_->GetLora(std::string(absl::StripPrefix(run->lora(), "loras/")));
  if (stored.ok()) registered->set_lora_bytes_received(stored->file.size);
  return true;
}

absl::Status TrainingManager::Commit(const HeldRun& held, const FinishedRun& finished) {
  return store_->CommitRun(held.lease, finished, options_.clock()).status();
}

void TrainingManager::Committed(const HeldRun& held, const FinishedRun& finished) {
  spdlog::info("lease {}: worker {}, attempt {}: committed, {} bytes", ToString(held.lease), held.worker_id,
               held.attempt, finished.lora.has_value() ? finished.lora->size : 0);
  metrics_->TrainingEnded("committed");
  if (finished.lora.has_value()) published_();
}

void TrainingManager::Discard(const FinishedRun& finished) {
  if (finished.lora.has_value()) DeleteArtifacts({*finished.lora});
}

absl::Status TrainingManager::StoreFailure(const HeldRun& held, const JobStore::FailedAttempt& failure) {
  const auto run = store_->FailRun(held.lease, failure, options_.clock());
  if (run.ok() && run->state() == v1::TRAINING_STATE_FAILED) {
    spdlog::error("training run {}: failed: {}", held.lease.run_id, run->error().reason());
  }
  return run.status();
}

}  // namespace svi::server
