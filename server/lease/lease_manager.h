// Behind the Dispatcher: who works on what. Knows the connected workers and the held leases, and changes both
// only together with the JobStore.
#ifndef SVI_SERVER_LEASE_LEASE_MANAGER_H_
#define SVI_SERVER_LEASE_LEASE_MANAGER_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/artifacts/artifact_store.h"
#include "server/lease/dispatcher.h"
#include "server/lease/task_loop.h"
#include "server/lease/worker_directory.h"
#include "server/lease/worker_session.h"
#include "server/lease/worker_stream.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/job_store.h"
#include "server/queue/schedule.h"
#include "server/stream/event_hub.h"
#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::server {

// Thread-safe. Streams post what they read to one loop thread, which does all that blocks (database, disk)
// and, through it, keeps one message a stream in memory at most. All state is under one mutex, so that
// RunOnce may also be called from outside of the loop.
//
// The life of a lease: AcquireLease ▸ inputs sent ▸ chunks received ▸ ClipDone ▸ CommitClip, or FailLease at
// any point. It ends for the worker at once, and for us when the store has taken note; until then it is kept
// and retried.
class LeaseManager final : public StreamEvents, public v1::WorkerService::CallbackService {
 public:
  LeaseManager(JobStore* store, ArtifactStore* artifacts, EventHub* hub, ServerMetrics* metrics,
               DispatcherOptions options);
  ~LeaseManager() override { Shutdown(); }

  // As in Dispatcher.
  [[nodiscard]] absl::Status Start() ABSL_LOCKS_EXCLUDED(mu_);
  void WorkChanged();
  void VideoEnded(const std::string& video_id);
  [[nodiscard]] std::vector<v1::Worker> ListWorkers() const { return directory_.List(); }
  void StopAssigning() { assigning_ = false; }
  [[nodiscard]] bool WaitIdle(absl::Time deadline) const ABSL_LOCKS_EXCLUDED(mu_);
  void Shutdown() ABSL_LOCKS_EXCLUDED(mu_);
  void RunOnce(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // WorkerService.
  grpc::ServerBidiReactor<v1::WorkerMessage, v1::ServerMessage>* Work(
      grpc::CallbackServerContext* context) override;

  // StreamEvents.
  [[nodiscard]] bool MessageRead(std::shared_ptr<WorkerStream> stream, v1::WorkerMessage message) override;
  [[nodiscard]] bool OutgoingDrained(std::shared_ptr<WorkerStream> stream) override;
  void StreamEnded(std::shared_ptr<WorkerStream> stream) override;

 private:
  using Held = std::map<std::string, HeldClip>;  // by video: a video has one lease at most

  // lease_manager.cc: the life of streams, and the pass.
  HeldClip& Hold(const Lease& lease, const std::string& worker_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  WorkerSession* Find(const WorkerStream* stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the stream and forgets the worker; the lease it holds waits for it to come back.
  void CloseSession(WorkerSession& session, const grpc::Status& status, bool abort)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PublishState(const WorkerSession& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireSilentSessions(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireLeases(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RetryOutcomes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the policy is to know of a worker. `wanted` are the LoRAs that some clip needs: no others matter.
  static WorkerView ViewOf(const WorkerSession& session, const std::set<std::string>& wanted);
  FleetView ViewFleet(const std::set<std::string>& wanted) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Match(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // FAILED_PRECONDITION or NOT_FOUND: the clip is not there to be had any more.
  [[nodiscard]] absl::Status Assign(WorkerSession& session, const Leasable& clip, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lease_messages.cc: an error ends the stream with that status.
  [[nodiscard]] absl::Status Handle(WorkerSession& session, const v1::WorkerMessage& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnRegister(WorkerSession& session, const v1::Register& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnHeartbeat(WorkerSession& session, const v1::Heartbeat& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnProgress(WorkerSession& session, const v1::WorkerProgress& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnChunk(WorkerSession& session, const v1::ClipChunk& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnDone(WorkerSession& session, const v1::ClipDone& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnFailed(WorkerSession& session, const v1::ClipFailed& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Finds what a worker that registers has to do with the leases held: it resumes the one it still works on
  // (true, and the counts in `registered` are set), and those it came back without are failed.
  bool Resume(WorkerSession& session, const std::optional<Lease>& holding, v1::Registered* registered)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The lease if it is this worker's, or null: it is not current (the worker is told to drop it), or it has
  // ended and the store is about to be told.
  [[nodiscard]] absl::StatusOr<HeldClip*> Current(WorkerSession& session, const v1::LeaseId& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sends the next piece of the inputs, if there is one.
  void PumpInputs(WorkerSession& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The attempt failed because its upload cannot be taken.
  void RefuseUpload(HeldClip& held, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // lease_outcomes.cc: how leases end.
  // Makes both uploads durable and fills in where they are; on an error neither is left.
  [[nodiscard]] absl::Status CommitUploads(HeldClip& held, const v1::ClipDone& done, FinishedClip* finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The committed clip, if the lease's own upload became it; NOT_FOUND if not.
  [[nodiscard]] absl::StatusOr<FinishedClip> CommittedBy(const Lease& lease)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The attempt failed. `tell_worker`: with this reason, in a CancelLease; empty if it knows.
  void EndAttempt(HeldClip& held, JobStore::FailedAttempt failure, const std::string& tell_worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the lease away from its worker, which stays busy until it has stopped.
  void Detach(HeldClip& held, const std::string& tell_worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellToDrop(WorkerSession& session, const Lease& lease, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the store how it ended; false if it has to be tried again. True: `held` is gone.
  bool Settle(HeldClip& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SettleFinished(HeldClip& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SettleFailed(HeldClip& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Accept(HeldClip& held, const FinishedClip& clip) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DeleteArtifacts(const std::vector<ArtifactRef>& artifacts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropVideo(const std::string& video_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  JobStore* const store_;
  ArtifactStore* const artifacts_;
  EventHub* const hub_;
  ServerMetrics* const metrics_;
  const DispatcherOptions options_;

  std::atomic<bool> assigning_{true};
  std::atomic<bool> match_wanted_{true};
  WorkerDirectory directory_;
  TaskLoop loop_;

  mutable absl::Mutex mu_;
  std::unordered_map<const WorkerStream*, WorkerSession> sessions_ ABSL_GUARDED_BY(mu_);
  Held held_ ABSL_GUARDED_BY(mu_);
  // As FleetView: a lease_timeout after the start, or after a worker with LoRAs was cut off.
  absl::Time fleet_complete_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_LEASE_MANAGER_H_
