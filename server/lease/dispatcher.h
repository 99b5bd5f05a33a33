// The Dispatcher: hands clips to workers, one lease a clip, and training runs to trainers, and takes back
// what they make.
#ifndef SVI_SERVER_LEASE_DISPATCHER_H_
#define SVI_SERVER_LEASE_DISPATCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/steady.h"
#include "server/queue/schedule_index.h"
#include "server/queue/tenant.h"
#include "server/stream/event_hub.h"
#include "svi/v1/resources.pb.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace svi::server {

class ArtifactStore;
class CallGate;
class JobStore;
class LeaseManager;
class ServerMetrics;
class TrainingManager;
class TrainingStore;
class WorkerApi;

struct DispatcherOptions {
  // How often workers are told to send a heartbeat.
  absl::Duration heartbeat_interval = absl::Seconds(2);
  // A worker that sends nothing for this long loses its lease and its stream. Also how long a worker that was
  // cut off, or whose server restarted, has to come back to its lease.
  absl::Duration lease_timeout = absl::Seconds(10);
  // Attempts at one clip or run, after which the video or the run is FAILED.
  uint32_t max_attempts = 3;
  // Larger uploads are refused.
  uint64_t max_clip_bytes = uint64_t{2} << 30;
  uint64_t max_carry_bytes = uint64_t{4} << 30;
  uint64_t max_lora_bytes = uint64_t{16} << 30;
  // Whether a clip that a worker hands over is looked into: it must be an MP4 of the size, frame rate and
  // number of frames that it is said to have. For tests whose clips are other bytes.
  bool check_clips = true;
  // Threads that wait for the artifacts' storage, for clips and again for training runs: so many inputs are
  // read and uploads stored at once.
  int storage_threads = 16;
  // How often the loop looks at the clock when nothing else happens (real time).
  absl::Duration tick = absl::Milliseconds(500);
  // Where several servers share the store: how often a server compares its leases with the store's, which
  // others may have ended or taken, or left to it.
  absl::Duration reconcile_interval = absl::InfiniteDuration();
  // Workers of other servers that share the store, as far as is known; null: there are no such servers.
  std::function<std::vector<v1::Worker>()> workers_elsewhere;
  // What the tenants may use.
  std::function<TenantLimits(const std::string& tenant)> tenant_limits = [](const std::string&) {
    return TenantLimits();
  };
  // A client has made the queue longer or shorter. Called by the loop; must be quick.
  std::function<void()> queue_changed = [] {};
  // What time it is, for what is stored and shown, and how much of it goes by, for leases and whatever else
  // ends some time after something else; tests put their own here.
  std::function<absl::Time()> clock = [] { return absl::Now(); };
  std::function<absl::Time()> timer = SteadyNow;
};

// All borrowed; they must outlive the Dispatcher.
struct DispatcherParts {
  JobStore* store = nullptr;
  TrainingStore* training = nullptr;
  ArtifactStore* artifacts = nullptr;
  EventHub* hub = nullptr;
  TrainingHub* training_hub = nullptr;
  ServerMetrics* metrics = nullptr;
  CallGate* gate = nullptr;  // null: everybody may be a worker
};

// Thread-safe. Order of life: construct → Start() → register worker_service() with the gRPC server → … →
// StopAssigning() → WaitIdle() → Shutdown() → shut the gRPC server down → destroy. The gRPC server must be
// gone before the Dispatcher is.
class Dispatcher {
 public:
  Dispatcher(const DispatcherParts& parts, const DispatcherOptions& options);
  ~Dispatcher();  // calls Shutdown()
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Takes over the leases that the store still holds (their workers have lease_timeout to come back) and
  // starts the loops. An error of the store is returned.
  [[nodiscard]] absl::Status Start();

  // The video was made, or its prompts have changed. Returns at once.
  void VideoChanged(const std::string& video_id);
  // Clips or videos may have changed that nobody told of; likewise.
  void WorkChanged();
  // Likewise for training runs: call after CreateTrainingRun.
  void RunsChanged();

  // The video was cancelled or deleted: its worker is told to stop. Returns at once.
  void VideoEnded(const std::string& video_id);
  // Likewise for a training run that was cancelled.
  void RunEnded(const std::string& run_id);

  // Workers, and trainers, with an open stream to this server, by name.
  std::vector<v1::Worker> ListWorkers() const;
  std::vector<v1::Worker> ListTrainers() const;
  // Workers of all servers that share the store, by name.
  std::vector<v1::Worker> ListFleet() const;

  // When the video's clips will be there; nullopt where that cannot be said.
  std::optional<VideoEstimate> Estimate(const std::string& video_id) const;
  // As ScheduleIndex::WorkersWanted.
  size_t WorkersWanted(absl::Duration target) const;
  // Clips that wait and that are being made, by tenant.
  std::vector<ScheduleIndex::TenantCounts> CountByTenant() const;
  // What options.tenant_limits answers has changed.
  void LimitsChanged();

  // No more leases from now on; those that are held go on.
  void StopAssigning();
  // True if no worker holds the lease of a clip. Training runs do not count: they take days, and go on while
  // the server is away.
  bool Idle() const;
  // True if no trainer holds a lease.
  bool TrainersIdle() const;
  // Waits until Idle() or the deadline (real time); returns Idle().
  bool WaitIdle(absl::Time deadline) const;

  // Ends all streams with UNAVAILABLE and stops the loop. Leases still held stay in the store, for the next
  // server to find. Idempotent.
  void Shutdown();

  // One pass of the loop, at `now` of the clock: expires what is overdue by the timer, retries what the store
  // could not do before, matches idle workers to clips. The loop calls it; tests may too.
  void RunOnce(absl::Time now);

  // The gRPC service for workers; owned by the Dispatcher.
  grpc::Service* worker_service();

 private:
  const std::function<absl::Time()> clock_;
  const std::function<std::vector<v1::Worker>()> workers_elsewhere_;
  std::unique_ptr<LeaseManager> leases_;
  std::unique_ptr<TrainingManager> trainers_;
  std::unique_ptr<WorkerApi> api_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_DISPATCHER_H_
