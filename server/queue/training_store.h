// The TrainingStore contract: everything durable about training runs, their leases and events, and the LoRAs
// that they made.
#ifndef SVI_SERVER_QUEUE_TRAINING_STORE_H_
#define SVI_SERVER_QUEUE_TRAINING_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/queue/job_store.h"
#include "svi/v1/training_service.pb.h"

namespace svi::server {

// How much of a run's progress a crash of the server may lose: it is written to disk no more often than this.
inline constexpr absl::Duration kProgressInterval = absl::Seconds(5);

struct NewTrainingRun {
  std::string id;  // without "trainingRuns/"
  std::string tenant = kDefaultTenant;
  std::string request_id;    // empty: not idempotent; each tenant has its own
  std::string request_hash;  // of the whole request
  v1::TrainingSpec spec;     // defaults not filled in
};

// The fencing token: the store refuses anything that carries an epoch which is not the run's current one.
struct TrainingLease {
  std::string run_id;
  uint64_t epoch = 0;

  bool operator==(const TrainingLease&) const = default;
};

// A run that may be leased now.
struct QueuedRun {
  std::string run_id;
  std::string tenant;
  std::string worker;  // that trained it last, `workers/{id}`; empty if none did
  absl::Time ready_since;
};

struct LeasedRun {
  TrainingLease lease;
  uint32_t attempt = 1;
  v1::TrainingSpec spec;
};

struct FinishedRun {
  v1::TrainingProgress progress;
  // The safetensors file and its rank; none with objective FULL.
  std::optional<ArtifactRef> lora;
  uint32_t rank = 0;
};

struct TrainingRunPage {
  std::vector<v1::TrainingRun> runs;  // newest first
  // (create time in µs, id) of the last one; nullopt: no more.
  std::optional<std::pair<int64_t, std::string>> next;
};

struct StoredLora {
  v1::Lora lora;
  ArtifactRef file;
};

struct LoraPage {
  std::vector<v1::Lora> loras;      // by name
  std::optional<std::string> next;  // name of the last one; nullopt: no more
};

// Thread-safe. As for JobStore: every call that changes something is one durable transaction (SetProgress
// excepted), appends its events with the next sequence numbers, and happens as a whole or not at all. Legal
// transitions: server/queue/training_states.h. Common errors: NOT_FOUND (no such run or LoRA), UNAVAILABLE
// (the database does not answer).
//
// Events: state_changed for each change of state; attempt_failed and published stand before the change that
// they cause, started after it. Handing back makes no event but the change of state.
class TrainingStore {
 public:
  virtual ~TrainingStore() = default;

  // Makes a QUEUED run. Replay of request_id: the first run, `*replayed` = true, nothing is made.
  // ALREADY_EXISTS: request_id with another hash (then `*name_taken` = false), or a LoRA, or another run that
  // is QUEUED or RUNNING, has the name (spec.lora_name, or the id) that this run's LoRA would have.
  virtual absl::StatusOr<v1::TrainingRun> CreateRun(const NewTrainingRun& run, absl::Time now, bool* replayed,
                                                    bool* name_taken) = 0;
  // With the newest progress, also what is not on disk yet.
  virtual absl::StatusOr<v1::TrainingRun> GetRun(const std::string& id) = 0;
  // Whose the run is; that never changes.
  virtual absl::StatusOr<std::string> TenantOf(const std::string& id) = 0;
  // The tenant's runs.
  virtual absl::StatusOr<TrainingRunPage> ListRuns(
      const std::string& tenant, const std::vector<v1::TrainingState>& states, int limit,
      const std::optional<std::pair<int64_t, std::string>>& after) = 0;
  // Ends an active run as CANCELLED and voids its lease; an ended one is returned unchanged.
  virtual absl::StatusOr<v1::TrainingRun> CancelRun(const std::string& id, absl::Time now) = 0;
  // Durable events with sequence > after, oldest first, at most `limit`.
  virtual absl::StatusOr<std::vector<v1::TrainingEvent>> ListRunEvents(const std::string& id, uint64_t after,
                                                                       int limit) = 0;

  // QUEUED runs, those that have waited longest first.
  virtual absl::StatusOr<std::vector<QueuedRun>> ListQueued(int limit) = 0;
  // Takes the lease: new epoch, attempt + 1, run RUNNING, event started. FAILED_PRECONDITION if the run is
  // not QUEUED (any more).
  virtual absl::StatusOr<LeasedRun> AcquireRun(const std::string& id, const std::string& worker,
                                               absl::Time now) = 0;
  // OK if the lease is the current one, ABORTED if not.
  virtual absl::Status CheckRun(const TrainingLease& lease) = 0;
  // As JobStore::ClaimLease.
  virtual absl::Status ClaimRun(const TrainingLease& lease, const std::string& worker) = 0;
  // Where the run stands: seen at once by GetRun on this server, durable after kProgressInterval at the
  // latest if more follows, and with the next change of state. ABORTED if the lease is not the current one.
  virtual absl::Status SetProgress(const TrainingLease& lease, const v1::TrainingProgress& progress,
                                   absl::Time now) = 0;
  // Commits the run: SUCCEEDED, and its LoRA published, in one step. ABORTED if the lease is not the current
  // one. INVALID_ARGUMENT: objective FULL with a LoRA, or LORA without one.
  virtual absl::StatusOr<v1::TrainingRun> CommitRun(const TrainingLease& lease, const FinishedRun& finished,
                                                    absl::Time now) = 0;
  // OK if the run has SUCCEEDED by this very lease. NOT_FOUND if not.
  virtual absl::Status CommittedBy(const TrainingLease& lease) = 0;
  // As JobStore::FailLease.
  virtual absl::StatusOr<v1::TrainingRun> FailRun(const TrainingLease& lease,
                                                  const JobStore::FailedAttempt& failure, absl::Time now) = 0;
  // This server's leases, for recovery when it starts.
  struct HeldLease {
    TrainingLease lease;
    std::string worker;
  };
  virtual absl::StatusOr<std::vector<HeldLease>> ListHeldRuns() = 0;

  virtual absl::StatusOr<StoredLora> GetLora(const std::string& name) = 0;
  // Those of `names` that are published, in the order of `names`.
  virtual absl::StatusOr<std::vector<v1::Lora>> FindLoras(const std::vector<std::string>& names) = 0;
  virtual absl::StatusOr<LoraPage> ListLoras(int limit, const std::string& after) = 0;
  // Its run stays, without `lora`, and the name is free. Returns the file that nothing refers to any more.
  virtual absl::StatusOr<ArtifactRef> DeleteLora(const std::string& name) = 0;

  // For metrics.
  struct Counts {
    std::vector<std::pair<v1::TrainingState, int64_t>> runs;
    int64_t loras = 0;
  };
  virtual absl::StatusOr<Counts> CountRuns() = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TRAINING_STORE_H_
