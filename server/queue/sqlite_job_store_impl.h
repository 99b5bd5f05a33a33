// Private to sqlite_job_store*.cc: the class, whose methods are spread over those files.
#ifndef SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_
#define SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/job_store.h"
#include "server/queue/sqlite_change.h"
#include "server/queue/sqlite_db.h"
#include "server/queue/sqlite_rows.h"
#include "server/queue/status_macros.h"

namespace svi::server {

class SqliteJobStore final : public JobStore {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Open(const std::string& path);

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
  SqliteJobStore(std::string path, NamedQueries queries)
      : path_(std::move(path)), queries_(std::move(queries)) {}

  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& value) {
    return value.status();
  }

  // Runs `body(db)`, which returns a StatusOr or Status, in one transaction: committed if it is OK, else
  // rolled back.
  template <typename Body>
  auto Write(const Body& body) ABSL_LOCKS_EXCLUDED(write_mutex_)
      -> decltype(body(std::declval<SqliteDb&>())) {
    absl::MutexLock lock(&write_mutex_);
    SVI_RETURN_IF_ERROR(writer_->Query("begin_write").Run());
    auto result = body(*writer_);
    absl::Status committed = StatusOf(result);
    if (committed.ok()) committed = writer_->Query("commit").Run();
    if (committed.ok()) return result;
    // SQLite itself has rolled back after some errors.
    if (writer_->in_transaction()) writer_->Query("rollback").Run().IgnoreError();
    return committed;
  }

  // Runs `body(db)` on one snapshot, on a connection of its own.
  template <typename Body>
  auto Read(const Body& body) ABSL_LOCKS_EXCLUDED(readers_mutex_)
      -> decltype(body(std::declval<SqliteDb&>())) {
    SVI_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, TakeReader());
    const absl::Status begun = db->Query("begin_read").Run();
    if (!begun.ok()) {
      ReturnReader(std::move(db));
      return begun;
    }
    auto result = body(*db);
    const absl::Status ended = db->Query("commit").Run();
    // A connection that cannot end its transaction would hold its snapshot for ever: drop it.
    ReturnReader(ended.ok() ? std::move(db) : nullptr);
    return result;
  }

  // Waits for one of at most kMaxReaders.
  absl::StatusOr<std::unique_ptr<SqliteDb>> TakeReader() ABSL_LOCKS_EXCLUDED(readers_mutex_);
  void ReturnReader(std::unique_ptr<SqliteDb> reader) ABSL_LOCKS_EXCLUDED(readers_mutex_);

  static constexpr int kMaxReaders = 4;

  const std::string path_;
  const NamedQueries queries_;

  absl::Mutex write_mutex_;
  std::unique_ptr<SqliteDb> writer_ ABSL_PT_GUARDED_BY(write_mutex_);

  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteDb>> idle_readers_ ABSL_GUARDED_BY(readers_mutex_);
  int busy_readers_ ABSL_GUARDED_BY(readers_mutex_) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_JOB_STORE_IMPL_H_
