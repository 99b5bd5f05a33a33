// The leases of clips: who gets which clip, and what is done with what comes of it.
#ifndef SVI_SERVER_LEASE_LEASE_MANAGER_H_
#define SVI_SERVER_LEASE_LEASE_MANAGER_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/lease/clip_queue.h"
#include "server/lease/lease_ledger.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/job_store.h"
#include "server/queue/schedule.h"
#include "server/queue/training_store.h"
#include "server/stream/event_hub.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// Thread-safe. `training` is asked which LoRAs are published: any worker can get those.
class LeaseManager final : public LeaseLedger<ClipKind> {
 public:
  LeaseManager(JobStore* store, TrainingStore* training, ArtifactStore* artifacts, EventHub* hub,
               ServerMetrics* metrics, DispatcherOptions options)
      : LeaseLedger(artifacts, std::move(options)),
        store_(store),
        queue_(store, options_.tenant_limits),
        training_(training),
        hub_(hub),
        metrics_(metrics) {}
  ~LeaseManager() override { Shutdown(); }

  // As LeaseLedger; workers with LoRAs have lease_timeout to come back.
  [[nodiscard]] absl::Status Start() ABSL_LOCKS_EXCLUDED(mu_);

  // Something may have changed that nobody told of, anywhere in the queue: the whole of it is read.
  void WorkChanged();
  // A client has changed the video.
  void VideoChanged(const std::string& id);
  // Its methods that do not read the store may be called from outside.
  [[nodiscard]] ClipQueue& queue() { return queue_; }

 private:
  // Of the LoRAs that waiting clips need.
  struct LoraNeeds {
    std::map<std::string, v1::Lora> published;  // by name, without "loras/": any worker can get these
    struct Need {
      std::vector<std::string> loras;  // that are not published: the worker must have them
      // No worker has them, and none may come back with them. Then any gets the clip: it looks into its
      // folder once more, and if the file is not there it fails the video, which would wait for ever
      // otherwise.
      bool anybody = false;
    };
    std::map<std::vector<std::string>, Need> by_set;
  };

  // lease_choice.cc
  void Match(absl::Time now) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads a page of the queue, if it is time for one.
  void ReadOn(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::StatusOr<LoraNeeds> FindLoraNeeds() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The sets of LoRAs that some worker has, here or elsewhere.
  [[nodiscard]] std::set<std::set<std::string>> FleetLoras() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // For how long a need must be nobody's before anybody may have it. Of the other servers' workers this one
  // hears with a delay, and when they move from one to another, for a while not at all.
  [[nodiscard]] absl::Duration unmet_patience() const {
    return options_.workers_elsewhere ? options_.lease_timeout : absl::ZeroDuration();
  }
  // Whether the worker may be given a clip that needs these LoRAs: it waits for a worker that has them all.
  static bool MayTake(const WorkerSession& session, const std::vector<std::string>& loras,
                      const LoraNeeds& needs);
  void CountWorkers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Leases the next clip to the worker, if there is one for it. False: the store does not answer.
  bool GiveClip(WorkerSession& session, const WorkerView& view, const LoraNeeds& needs, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lease_manager.cc
  // FAILED_PRECONDITION or NOT_FOUND: the clip is not there to be had any more.
  [[nodiscard]] absl::Status Assign(WorkerSession& session, const CurrentClip& clip, const LoraNeeds& needs,
                                    absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lease_messages.cc
  absl::Status Handle(WorkerSession& session, const v1::WorkerMessage& message) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Introduce(WorkerSession& session, const v1::Register& message) override;
  void Leaving(const WorkerSession& session) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Describe(const WorkerSession& session, v1::Worker& worker) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Reconsider(WorkerSession& session, const HeldClip& held, JobStore::FailedAttempt& failure) override;
  void PumpInputs(WorkerSession& session) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status HearLoras(WorkerSession& session, const v1::Heartbeat& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnProgress(WorkerSession& session, const v1::WorkerProgress& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnChunk(WorkerSession& session, const v1::ClipChunk& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnDone(WorkerSession& session, const v1::ClipDone& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lease_outcomes.cc
  absl::StatusOr<std::vector<JobStore::HeldLease>> ListHeldLeases() override {
    return store_->ListHeldLeases();
  }
  absl::Status Claim(const Lease& lease, const std::string& worker) override {
    return store_->ClaimLease(lease, worker);
  }
  HeldClip MakeHeld(const Lease& lease, const std::string& worker_id) override;
  // StoreUpload of both: on an error neither is left. Fills in the rest of `finished`.
  void StoreClip(HeldClip& held, FinishedClip finished, const v1::ClipDone& done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A piece of the inputs is read.
  void InputRead(const Lease& lease, absl::StatusOr<v1::ArtifactChunk> chunk)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the clip starts from is not to be had: for good if it is missing or damaged, else the lease is
  // handed back.
  [[nodiscard]] JobStore::FailedAttempt InputFailure(const absl::Status& why) const;
  // The committed clip, if the lease's own upload became it; NOT_FOUND if not.
  [[nodiscard]] absl::StatusOr<FinishedClip> CommittedBy(const Lease& lease);
  void TellReceived(const HeldClip& held, v1::Registered& registered) override;
  absl::StatusOr<bool> RecallCommitted(const Lease& lease, v1::Registered* registered) override;
  absl::Status Commit(const HeldClip& held, const FinishedClip& finished) override;
  void Committed(const HeldClip& held, const FinishedClip& finished) override;
  void Discard(const FinishedClip& finished) override;
  absl::Status StoreFailure(const HeldClip& held, const JobStore::FailedAttempt& failure) override;
  void Changed(const std::string& id) override {
    queue_.Refresh(id, options_.clock());
    hub_->Changed(id);
  }
  void CountEnd(const char* outcome) override { metrics_->ClipEnded(outcome); }
  void CountExpiry() override { metrics_->LeaseExpired(); }

  JobStore* const store_;
  ClipQueue queue_;
  // The whole queue is to be read, without pauses; and it is being read so.
  std::atomic<bool> read_all_wanted_{false};
  bool reading_all_ ABSL_GUARDED_BY(mu_) = false;
  // Since when reading has a share of the loop's time, and what is left of it.
  absl::Time read_on_since_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration read_on_left_ ABSL_GUARDED_BY(mu_);
  TrainingStore* const training_;
  EventHub* const hub_;
  ServerMetrics* const metrics_;
  // Until then workers may come back with LoRAs: a lease_timeout after the start, or after a worker with
  // LoRAs was cut off.
  absl::Time fleet_complete_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  // Sets of LoRAs that waiting clips need and no worker has, since when.
  std::map<std::vector<std::string>, absl::Time> unmet_since_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_LEASE_MANAGER_H_
