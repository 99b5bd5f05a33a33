// Private to sqlite_job_store*.cc: the class, whose methods are spread over those files.
#ifndef SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_
#define SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/queue/job_store.h"
#include "server/queue/sqlite_change.h"
#include "server/queue/sqlite_db.h"
#include "server/queue/sqlite_pool.h"
#include "server/queue/sqlite_rows.h"
#include "server/queue/status_macros.h"

namespace svi::server {

class SqliteJobStore final : public JobStore {
 public:
  explicit SqliteJobStore(std::shared_ptr<SqlitePool> pool) : pool_(std::move(pool)) {}

  absl::StatusOr<v1::Video> CreateVideo(const NewVideo& video, absl::Time now, bool* replayed) override;
  absl::StatusOr<v1::Video> GetVideo(const std::string& id) override;
  absl::StatusOr<VideoPage> ListVideos(const std::vector<v1::VideoState>& states, int limit,
                                       const std::optional<std::pair<int64_t, std::string>>& after) override;
  absl::StatusOr<v1::Video> CancelVideo(const std::string& id, absl::Time now) override;
  absl::StatusOr<std::vector<ArtifactRef>> DeleteVideo(const std::string& id) override;
  absl::StatusOr<v1::Video> AppendPrompts(const std::string& id, const std::vector<std::string>& prompts,
                                          std::optional<uint64_t> expected_revision, absl::Time now) override;
  absl::StatusOr<v1::Video> FinishVideo(const std::string& id, std::optional<uint64_t> expected_revision,
                                        absl::Time now) override;
  absl::StatusOr<std::vector<v1::VideoEvent>> ListEvents(const std::string& id, uint64_t after,
                                                         int limit) override;
  absl::StatusOr<FinishedClip> GetClip(const std::string& id, uint32_t index) override;
  absl::StatusOr<std::vector<Leasable>> ListLeasable(int limit) override;
  absl::StatusOr<LeasedClip> AcquireLease(const std::string& id, uint32_t clip_index,
                                          const std::string& worker, absl::Time now) override;
  absl::Status CheckLease(const Lease& lease) override;
  absl::StatusOr<v1::Video> CommitClip(const Lease& lease, const FinishedClip& clip, absl::Time now,
                                       std::vector<ArtifactRef>* obsolete) override;
  absl::StatusOr<v1::Video> FailLease(const Lease& lease, const FailedAttempt& failure,
                                      absl::Time now) override;
  absl::StatusOr<std::vector<HeldLease>> ListHeldLeases() override;
  absl::StatusOr<Counts> Count() override;

 private:
  const std::shared_ptr<SqlitePool> pool_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_
