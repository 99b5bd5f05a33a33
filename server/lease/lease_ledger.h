// Who works on what: the connected workers of one kind and the leases that they hold. What is common to the
// leases of clips (LeaseManager) and of training runs (TrainingManager).
#ifndef SVI_SERVER_LEASE_LEASE_LEDGER_H_
#define SVI_SERVER_LEASE_LEASE_LEDGER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/artifacts/artifact_store.h"
#include "server/lease/dispatcher.h"
#include "server/lease/task_loop.h"
#include "server/lease/trainer_session.h"
#include "server/lease/worker_directory.h"
#include "server/lease/worker_session.h"
#include "server/lease/worker_stream.h"
#include "server/rpc/executor.h"

namespace svi::server {

// Thread-safe. Streams post what they read to one loop thread, which does all that blocks (database,
// appending to uploads) and, through it, keeps one message a stream in memory at most. Only the artifacts'
// storage, which may be far away, has threads of its own: they read inputs and make uploads durable, and post
// what came of it to the loop. All state is under one mutex, so that RunOnce may also be called from outside
// of the loop.
//
// The life of a lease: acquired in the store ▸ inputs sent ▸ chunks received ▸ done ▸ committed, or failed at
// any point. It ends for the worker at once, and for us when the store has taken note; until then it is kept
// and retried.
//
// A subclass says what its kind of lease does in its own way, by the virtual functions, which are called with
// the mutex held; its destructor calls Shutdown().
template <typename Kind>
class LeaseLedger : public StreamEvents<typename Kind::Incoming, typename Kind::Outgoing> {
 public:
  using Incoming = typename Kind::Incoming;
  using Outgoing = typename Kind::Outgoing;
  using Stream = typename Kind::Stream;
  using Lease = typename Kind::Lease;
  using LeaseId = typename Kind::LeaseId;
  using Registered = typename Kind::Registered;
  using Finished = typename Kind::Finished;
  using Session = typename Kind::Session;
  using Held = typename Kind::Held;

  // As in Dispatcher.
  [[nodiscard]] absl::Status Start() ABSL_LOCKS_EXCLUDED(mu_);
  void WorkChanged();
  void JobEnded(const std::string& id);
  [[nodiscard]] std::vector<v1::Worker> ListWorkers() const { return directory_.List(); }
  void StopAssigning() { assigning_ = false; }
  [[nodiscard]] bool WaitIdle(absl::Time deadline) const ABSL_LOCKS_EXCLUDED(mu_);
  void Shutdown() ABSL_LOCKS_EXCLUDED(mu_);
  void RunOnce(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // A worker's new stream.
  [[nodiscard]] grpc::ServerBidiReactor<Incoming, Outgoing>* Accept(grpc::CallbackServerContext* context);

  // StreamEvents.
  [[nodiscard]] bool MessageRead(std::shared_ptr<Stream> stream, Incoming message) override;
  [[nodiscard]] bool OutgoingDrained(std::shared_ptr<Stream> stream) override;
  void StreamEnded(std::shared_ptr<Stream> stream) override;

 protected:
  LeaseLedger(ArtifactStore* artifacts, DispatcherOptions options)
      : artifacts_(artifacts), options_(std::move(options)) {}

  // This server's leases, as the store has them: asked at the start, and every reconcile_interval.
  virtual absl::StatusOr<std::vector<typename Kind::HeldLease>> ListHeldLeases() = 0;
  // Makes the lease this server's, since its worker, `workers/{id}`, has come here with it.
  virtual absl::Status Claim(const Lease& lease, const std::string& worker) = 0;
  virtual Held MakeHeld(const Lease& lease, const std::string& worker_id) = 0;
  // A message of a stream that has registered, or the registration: hands it to the functions below. An error
  // ends the stream with that status.
  virtual absl::Status Handle(Session& session, const Incoming& message) = 0;
  // The worker has registered: what the kind keeps of it.
  virtual void Introduce(Session&, const typename Kind::Register&) {}
  // A registered worker's stream ends.
  virtual void Leaving(const Session&) {}
  // Adds what the kind knows of the worker.
  virtual void Describe(const Session&, v1::Worker&) {}
  // Gives leases to idle workers.
  virtual void Match(absl::Time now) = 0;
  // Everything given to the stream is written.
  virtual void PumpInputs(Session&) {}
  // The worker says that it failed: last word on what is made of that.
  virtual void Reconsider(Session&, const Held&, JobStore::FailedAttempt&) {}
  // How much of the upload is here, for a worker that resumes.
  virtual void TellReceived(const Held& held, Registered& registered) = 0;
  // True if the lease has been committed; fills in what is received of it then, i.e. all. UNAVAILABLE: the
  // store does not tell.
  virtual absl::StatusOr<bool> RecallCommitted(const Lease& lease, Registered* registered) = 0;
  // Commits to the store. UNAVAILABLE: to be tried again. ABORTED or NOT_FOUND: the lease is not current.
  virtual absl::Status Commit(const Held& held, const Finished& finished) = 0;
  // It is committed: counts and logs.
  virtual void Committed(const Held& held, const Finished& finished) = 0;
  // The files of what will not be committed.
  virtual void Discard(const Finished& finished) = 0;
  // Tells the store that the attempt has failed. UNAVAILABLE: to be tried again.
  virtual absl::Status StoreFailure(const Held& held, const JobStore::FailedAttempt& failure) = 0;
  // The job has new durable events.
  virtual void Changed(const std::string& id) = 0;
  // For metrics; `outcome` as ServerMetrics::ClipEnded has it.
  virtual void CountEnd(const char* outcome) = 0;
  virtual void CountExpiry() = 0;

  // What each kind's Handle uses.
  [[nodiscard]] absl::Status OnRegister(Session& session, const typename Kind::Register& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Of `draining` and `lease`.
  [[nodiscard]] absl::Status OnHeartbeat(Session& session, const typename Kind::Heartbeat& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  [[nodiscard]] absl::Status OnFailed(Session& session, const typename Kind::Failed& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The lease if it is this worker's, or null: it is not current (the worker is told to drop it), or it has
  // ended and the store is about to be told.
  [[nodiscard]] absl::StatusOr<Held*> Current(Session& session, const LeaseId& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // True if the lease is one that is held.
  [[nodiscard]] bool IsHeld(const Lease& lease) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The worker did not hear that its lease was committed.
  void AcceptAgain(Session& session, const Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The attempt ends because its upload cannot be taken: DATA_LOSS is the worker's or the network's failure.
  // Any other code is our own storage's: the lease is handed back, since no attempt can help that, and no
  // leases are given for a while.
  void RefuseUpload(Held& held, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes the upload of the lease durable by `store`, which runs on another thread, and commits what it
  // returns. The worker's stream is not read meanwhile.
  void StoreUpload(Held& held, std::function<absl::StatusOr<Finished>()> store)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The storage has failed: no leases for a second, for two if it fails again, and so on up to a minute.
  void PauseForStorage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Runs `work` on a thread for what waits for the storage.
  void RunOnStorage(std::function<void()> work);
  // Runs `task` on the loop. False: it has stopped.
  bool PostToLoop(std::function<void()> task) { return loop_.Post(std::move(task)); }

  // Workers and their leases.
  Held& Hold(const Lease& lease, const std::string& worker_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Hold, for a lease that the store says is this server's; its worker has lease_timeout to come with it.
  void TakeOver(const Lease& lease, const std::string& worker_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Hold, for a worker that is given the lease now.
  Held& Give(Session& session, const Lease& lease, uint32_t attempt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Session* Find(const Stream* stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Those that have waited longest first.
  [[nodiscard]] std::vector<Session*> IdleSessions() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It has dropped what it was told to drop.
  void Stopped(Session& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the stream and forgets the worker; the lease it holds waits for it to come back.
  void CloseSession(Session& session, const grpc::Status& status, bool abort)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PublishState(const Session& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // How leases end.
  // A failure of this many attempts at most.
  [[nodiscard]] JobStore::FailedAttempt Failure(absl::StatusCode code, const char* reason,
                                                std::string message) const;
  // The attempt failed. `tell_worker`: with this reason, in a cancel message; empty if it knows.
  void EndAttempt(Held& held, JobStore::FailedAttempt failure, const std::string& tell_worker)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the lease away from its worker, which stays busy until it has stopped.
  void Detach(Held& held, const std::string& tell_worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellToDrop(Session& session, const Lease& lease, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the store how it ended; false if it has to be tried again. True: `held` is gone.
  bool Settle(Held& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Discard, if the store says that the lease is not committed: the answer to the commit may have been lost,
  // or another server, to which the worker went with its lease, has committed the same upload. What stays is
  // swept.
  void DiscardUnlessCommitted(const Lease& lease, const Finished& finished)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DeleteArtifacts(const std::vector<ArtifactRef>& artifacts);

  ArtifactStore* const artifacts_;
  const DispatcherOptions options_;
  std::atomic<bool> assigning_{true};
  std::atomic<bool> match_wanted_{true};

  mutable absl::Mutex mu_;
  std::unordered_map<const Stream*, Session> sessions_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Held> held_ ABSL_GUARDED_BY(mu_);  // by job, which has one lease at most

 private:
  void ExpireSilentSessions(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireLeases(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RetryOutcomes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Finds what a worker that registers has to do with the leases held: it resumes the one it still works on
  // (true, and the counts in `registered` are set), and those it came back without are failed.
  bool Resume(Session& session, const std::optional<Lease>& holding, Registered* registered)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SettleFinished(Held& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SettleFailed(Held& held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It is committed.
  void AcceptResult(Held& held, const Finished& finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendAccepted(Session& session, const Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Where several servers share the store: takes over what became this server's, and lets go of what is not
  // its any more.
  void Reconcile(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The job was cancelled or deleted.
  void DropJob(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Time reconciled_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  // What StoreUpload came to.
  void UploadStored(const Lease& lease, absl::StatusOr<Finished> finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  WorkerDirectory directory_;
  TaskLoop loop_;
  std::unique_ptr<Executor> storage_;                  // from Start to Shutdown
  absl::Duration storage_pause_ ABSL_GUARDED_BY(mu_);  // 0: it works
  absl::Time storage_paused_until_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_LEASE_LEDGER_H_
