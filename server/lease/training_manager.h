// The leases of training runs: who trains which run, and the LoRA that comes of it.
#ifndef SVI_SERVER_LEASE_TRAINING_MANAGER_H_
#define SVI_SERVER_LEASE_TRAINING_MANAGER_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/lease/lease_ledger.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/training_store.h"
#include "server/stream/event_hub.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// Thread-safe. A loop of its own, so that storing a LoRA of a gigabyte holds up no clip.
class TrainingManager final : public LeaseLedger<RunKind> {
 public:
  // `published` is called when a LoRA has been; it must return at once.
  TrainingManager(TrainingStore* store, ArtifactStore* artifacts, TrainingHub* hub, ServerMetrics* metrics,
                  DispatcherOptions options, std::function<void()> published)
      : LeaseLedger(artifacts, std::move(options)),
        store_(store),
        hub_(hub),
        metrics_(metrics),
        published_(std::move(published)) {}
  ~TrainingManager() override { Shutdown(); }

 private:
  // The run that has waited longest goes first: to the trainer that had it last, which has its checkpoints at
  // hand, or to the one that has been idle for longest.
  void Match(absl::Time now) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // FAILED_PRECONDITION or NOT_FOUND: the run is not there to be had any more.
  [[nodiscard]] absl::Status Assign(TrainerSession& session, const std::string& run_id, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Status Handle(TrainerSession& session, const v1::TrainerMessage& message) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnProgress(TrainerSession& session, const v1::TrainerProgress& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnChunk(TrainerSession& session, const v1::LoraChunk& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnDone(TrainerSession& session, const v1::TrainingDone& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::StatusOr<std::vector<TrainingStore::HeldLease>> ListHeldLeases() override {
    return store_->ListHeldRuns();
  }
  absl::Status Claim(const TrainingLease& lease, const std::string& worker) override {
    return store_->ClaimRun(lease, worker);
  }
  HeldRun MakeHeld(const TrainingLease& lease, const std::string& worker_id) override;
  void TellReceived(const HeldRun& held, v1::TrainerRegistered& registered) override;
  absl::StatusOr<bool> RecallCommitted(const TrainingLease& lease,
                                       v1::TrainerRegistered* registered) override;
  absl::Status Commit(const HeldRun& held, const FinishedRun& finished) override;
  void Committed(const HeldRun& held, const FinishedRun& finished) override;
  void Discard(const FinishedRun& finished) override;
  absl::Status StoreFailure(const HeldRun& held, const JobStore::FailedAttempt& failure) override;
  void Changed(const std::string& id) override { hub_->Changed(id); }
  void CountEnd(const char* outcome) override { metrics_->TrainingEnded(outcome); }
  void CountExpiry() override { metrics_->TrainingLeaseExpired(); }

  TrainingStore* const store_;
  TrainingHub* const hub_;
  ServerMetrics* const metrics_;
  const std::function<void()> published_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_TRAINING_MANAGER_H_
