// Deletes what is no longer needed: videos whose retention is over, and artifacts that nothing refers to.
#ifndef SVI_SERVER_RETENTION_SWEEPER_H_
#define SVI_SERVER_RETENTION_SWEEPER_H_

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/steady.h"
#include "server/artifacts/artifact_store.h"
#include "server/metrics/storage_metrics.h"
#include "server/queue/job_store.h"
#include "server/queue/training_store.h"

namespace svi::server {

// How long videos stay after they have ended.
struct RetentionPolicy {
  absl::Duration keep = absl::InfiniteDuration();
  // Instead, for these tenants.
  std::map<std::string, absl::Duration> tenants;

  [[nodiscard]] absl::Duration For(const std::string& tenant) const;
  // For any tenant.
  [[nodiscard]] absl::Duration Shortest() const;
};

// Reads "TIME" (e.g. "720h") or "TENANT=TIME". INVALID_ARGUMENT names --retention.
[[nodiscard]] absl::Status AddRetention(const std::string& text, RetentionPolicy* policy);

struct SweeperOptions {
  RetentionPolicy retention;
  // Only log what retention would delete.
  bool retention_dry_run = false;
  // What becomes of artifacts that nothing refers to: "delete", "report" (in the log and as svi_orphans), or
  // "keep" (nobody looks for them).
  enum class Orphans { kDelete, kReport, kKeep };
  Orphans orphans = Orphans::kDelete;
  // An artifact is left alone for this long after it was stored; longer than any outage of the job store
  // between an upload and its commit.
  absl::Duration orphan_grace = absl::Hours(24);
  absl::Duration interval = absl::Hours(1);
  // What time it is; tests put their own here.
  std::function<absl::Time()> clock = [] { return absl::Now(); };
};

// All borrowed but the functions; they must outlive the Sweeper.
struct SweeperParts {
  JobStore* jobs = nullptr;
  TrainingStore* training = nullptr;
  ArtifactStore* artifacts = nullptr;
  std::function<void(const std::string& video_id)> video_deleted = [](const std::string&) {};
  std::function<void(const SweepCounts&)> swept = [](const SweepCounts&) {};
};

// A video's row goes first, its artifacts after it. So wherever a sweep is broken off, no row refers to
// something that is gone; what stays behind is an orphan, and the next sweep finds it. Any number of servers
// may sweep one store at once: what another has deleted already is no error. Thread-safe.
class Sweeper {
 public:
  Sweeper(const SweeperParts& parts, SweeperOptions options) : parts_(parts), options_(std::move(options)) {}
  ~Sweeper() { Stop(); }
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  // Sweeps on a thread of its own: first at a random moment within the interval, so that several servers take
  // turns, then every interval.
  void Start();
  // Breaks off the sweep under way before its next step, and waits for that. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // One sweep. Errors are counted and logged, and the sweep goes on with what is next.
  SweepCounts RunOnce() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  [[nodiscard]] bool stopped() const ABSL_LOCKS_EXCLUDED(mu_);
  // False: broken off.
  [[nodiscard]] bool SweepVideos(absl::Time now, SweepCounts* counts);
  [[nodiscard]] bool SweepOrphans(absl::Time now, SweepCounts* counts);
  void Expire(const std::string& id, SweepCounts* counts);
  void DeleteOrphans(const std::vector<ArtifactInfo>& orphans, absl::Time now, SweepCounts* counts);

  const SweeperParts parts_;
  const SweeperOptions options_;
  mutable absl::Mutex mu_;
  SteadyCondition stop_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RETENTION_SWEEPER_H_
