// The JobStore over SQL; its methods are spread over sql_job_store*.cc. The databases are opened by
// sqlite_stores.h.
#ifndef SVI_SERVER_QUEUE_SQL_JOB_STORE_H_
#define SVI_SERVER_QUEUE_SQL_JOB_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/queue/job_store.h"
#include "server/queue/sql_db.h"
#include "server/queue/sql_pool.h"
#include "server/queue/status_macros.h"
#include "server/queue/video_change.h"
#include "server/queue/video_rows.h"

namespace svi::server {

// What it promises beyond JobStore's comments:
// - Events: state_changed for each change of state of the table in states.h and for no other, so a watcher
//   sees RUNNING and QUEUED take turns between clips; clip_done and clip_attempt_failed stand before the
//   change of state that they cause, clip_started after it. clip_attempt_failed is there for the last
//   attempt, too.
// - A video that ends is `finished`, however it ended; so FinishVideo returns it unchanged.
// - FinishVideo of a finished video ignores the expected revision: it may be a replay.
// - A clip that is put back waits from then on: its ready_since is the time of the FailLease.
class SqlJobStore final : public JobStore {
 public:
  explicit SqlJobStore(std::shared_ptr<SqlPool> pool) : pool_(std::move(pool)) {}

  absl::StatusOr<v1::Video> CreateVideo(const NewVideo& video, absl::Time now, bool* replayed) override;
  absl::StatusOr<v1::Video> GetVideo(const std::string& id) override;
  absl::StatusOr<std::string> TenantOf(const std::string& id) override;
  absl::StatusOr<VideoPage> ListVideos(const std::string& tenant, const std::vector<v1::VideoState>& states,
                                       int limit,
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
  absl::StatusOr<std::vector<CurrentClip>> ListCurrentClips(const std::string& after, int limit) override;
  absl::StatusOr<std::optional<CurrentClip>> FindCurrentClip(const std::string& id) override;
  absl::StatusOr<std::vector<ServedClip>> ListServedClips(absl::Time since, int limit) override;
  absl::StatusOr<LeasedClip> AcquireLease(const std::string& id, uint32_t clip_index,
                                          const std::string& worker, absl::Time now) override;
  absl::Status CheckLease(const Lease& lease) override;
  absl::Status ClaimLease(const Lease& lease, const std::string& worker) override;
  absl::StatusOr<v1::Video> CommitClip(const Lease& lease, const FinishedClip& clip, absl::Time now,
                                       std::vector<ArtifactRef>* obsolete) override;
  absl::StatusOr<v1::Video> FailLease(const Lease& lease, const FailedAttempt& failure,
                                      absl::Time now) override;
  absl::StatusOr<std::vector<HeldLease>> ListHeldLeases() override;
  absl::StatusOr<std::vector<EndedVideo>> ListEnded(absl::Time before, const std::optional<EndedVideo>& after,
                                                    int limit) override;
  absl::StatusOr<Counts> Count() override;

 private:
  const std::shared_ptr<SqlPool> pool_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQL_JOB_STORE_H_
