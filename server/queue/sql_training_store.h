// The TrainingStore over SQL; its methods are spread over sql_training_store*.cc.
#ifndef SVI_SERVER_QUEUE_SQL_TRAINING_STORE_H_
#define SVI_SERVER_QUEUE_SQL_TRAINING_STORE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/sql_pool.h"
#include "server/queue/training_rows.h"
#include "server/queue/training_store.h"

namespace svi::server {

class SqlTrainingStore final : public TrainingStore {
 public:
  explicit SqlTrainingStore(std::shared_ptr<SqlPool> pool) : pool_(std::move(pool)) {}

  absl::StatusOr<v1::TrainingRun> CreateRun(const NewTrainingRun& run, absl::Time now, bool* replayed,
                                            bool* name_taken) override;
  absl::StatusOr<v1::TrainingRun> GetRun(const std::string& id) override;
  absl::StatusOr<std::string> TenantOf(const std::string& id) override;
  absl::StatusOr<TrainingRunPage> ListRuns(
      const std::string& tenant, const std::vector<v1::TrainingState>& states, int limit,
      const std::optional<std::pair<int64_t, std::string>>& after) override;
  absl::StatusOr<v1::TrainingRun> CancelRun(const std::string& id, absl::Time now) override;
  absl::StatusOr<std::vector<v1::TrainingEvent>> ListRunEvents(const std::string& id, uint64_t after,
                                                               int limit) override;
  absl::StatusOr<std::vector<QueuedRun>> ListQueued(int limit) override;
  absl::StatusOr<LeasedRun> AcquireRun(const std::string& id, const std::string& worker,
                                       absl::Time now) override;
  absl::Status CheckRun(const TrainingLease& lease) override;
  absl::Status ClaimRun(const TrainingLease& lease, const std::string& worker) override;
  absl::Status SetProgress(const TrainingLease& lease, const v1::TrainingProgress& progress,
                           absl::Time now) override;
  absl::StatusOr<v1::TrainingRun> CommitRun(const TrainingLease& lease, const FinishedRun& finished,
                                            absl::Time now) override;
  absl::Status CommittedBy(const TrainingLease& lease) override;
  absl::StatusOr<v1::TrainingRun> FailRun(const TrainingLease& lease, const JobStore::FailedAttempt& failure,
                                          absl::Time now) override;
  absl::StatusOr<std::vector<HeldLease>> ListHeldRuns() override;
  absl::StatusOr<StoredLora> GetLora(const std::string& name) override;
  absl::StatusOr<std::vector<v1::Lora>> FindLoras(const std::vector<std::string>& names) override;
  absl::StatusOr<LoraPage> ListLoras(int limit, const std::string& after) override;
  absl::StatusOr<ArtifactRef> DeleteLora(const std::string& name) override;
  absl::StatusOr<Counts> CountRuns() override;

 private:
  // A RUNNING run's progress that is newer than the one in its row.
  struct LiveProgress {
    uint64_t epoch = 0;
    v1::TrainingProgress progress;
    absl::Time stored = absl::InfinitePast();
  };

  // Puts the newest progress into a row that was read.
  void AddLiveProgress(TrainingRow& row) const ABSL_LOCKS_EXCLUDED(live_mutex_);
  // Changes the run that `load(db)` gives by `body(db, change)`, which returns a Status and emits an event
  // unless it leaves the run as it is; saves it, and forgets its live progress, which is in its row then.
  template <typename Load, typename Body>
  absl::StatusOr<v1::TrainingRun> Change(absl::Time now, const Load& load, const Body& body);

  const std::shared_ptr<SqlPool> pool_;
  mutable absl::Mutex live_mutex_;
  absl::flat_hash_map<std::string, LiveProgress> live_ ABSL_GUARDED_BY(live_mutex_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_TRAINING_STORE_H_
