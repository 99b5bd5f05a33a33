// The clips that wait for workers, as the store has them, in the order of the scheduling policy.
#ifndef SVI_SERVER_LEASE_CLIP_QUEUE_H_
#define SVI_SERVER_LEASE_CLIP_QUEUE_H_

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/queue/job_store.h"
#include "server/queue/schedule_index.h"

namespace svi::server {

// Thread-safe; but what reads the store (Load, Refresh, ReadOn) must be called by one thread at a time, lest
// an older answer overtakes a newer one. The store's AcquireLease decides what may be leased: where this
// mirror is behind, a claim fails, and Refresh puts it right.
class ClipQueue {
 public:
  ClipQueue(JobStore* store, ScheduleIndex::LimitsOf limits) : store_(store), index_(std::move(limits)) {}

  // Reads all that the store has.
  [[nodiscard]] absl::Status Load(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // Reads how the video stands now. An error is logged, and it is read again by the next RetryStale.
  void Refresh(const std::string& video_id, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  void RetryStale(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // Reads the next few hundred videos, and begins anew after the last: sees what other servers have done, and
  // whatever else was missed, after so many calls. True: these were the last, or the store does not answer.
  bool ReadOn(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The next ReadOn begins at the first.
  void ReadAnew() ABSL_LOCKS_EXCLUDED(mu_);

  // The clip was leased to the worker (`workers/{id}`).
  void Leased(CurrentClip clip, const std::string& worker, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The clip cannot be leased now, whatever the store said before: the next RetryStale reads it again.
  void SetAside(const std::string& video_id, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The clip that is being made is finished.
  void Done(const std::string& video_id, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The limits of tenants are asked for again.
  void LimitsChanged() ABSL_LOCKS_EXCLUDED(mu_);
  // How many workers this server has that take clips, and how many of them are at it.
  void SetWorkers(size_t workers, size_t busy) ABSL_LOCKS_EXCLUDED(mu_);

  [[nodiscard]] bool empty() const ABSL_LOCKS_EXCLUDED(mu_);
  [[nodiscard]] std::optional<CurrentClip> Choose(const WorkerView& worker,
                                                  ScheduleIndex::MayTake may_take) const
      ABSL_LOCKS_EXCLUDED(mu_);
  [[nodiscard]] bool AnyWaiting(const std::vector<std::string>& video_ids) const ABSL_LOCKS_EXCLUDED(mu_);
  // The sets of LoRAs that some clip waits with, but the empty one.
  [[nodiscard]] std::vector<std::vector<std::string>> WaitingLoras() const ABSL_LOCKS_EXCLUDED(mu_);
  // As ScheduleIndex::Estimate.
  [[nodiscard]] std::optional<VideoEstimate> Estimate(const std::string& video_id, absl::Time now) const
      ABSL_LOCKS_EXCLUDED(mu_);
  [[nodiscard]] size_t WorkersWanted(absl::Duration target) const ABSL_LOCKS_EXCLUDED(mu_);
  [[nodiscard]] std::vector<ScheduleIndex::TenantCounts> CountByTenant() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  JobStore* const store_;
  mutable absl::Mutex mu_;
  ScheduleIndex index_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> stale_ ABSL_GUARDED_BY(mu_);  // could not be read
  std::string read_to_ ABSL_GUARDED_BY(mu_);          // where ReadOn goes on
  size_t workers_ ABSL_GUARDED_BY(mu_) = 0;
  size_t busy_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_CLIP_QUEUE_H_
