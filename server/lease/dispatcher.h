// The Dispatcher: hands clips to workers, one lease a clip, and takes the finished clips back.
#ifndef SVI_SERVER_LEASE_DISPATCHER_H_
#define SVI_SERVER_LEASE_DISPATCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "svi/v1/resources.pb.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace svi::server {

class ArtifactStore;
class EventHub;
class JobStore;
class LeaseManager;
class ServerMetrics;

struct DispatcherOptions {
  // How often workers are told to send a heartbeat.
  absl::Duration heartbeat_interval = absl::Seconds(2);
  // A worker that sends nothing for this long loses its lease and its stream. Also how long a worker that was
  // cut off, or whose server restarted, has to come back to its lease.
  absl::Duration lease_timeout = absl::Seconds(10);
  // Attempts at one clip, after which the video is FAILED.
  uint32_t max_attempts = 3;
  // Larger uploads are refused.
  uint64_t max_clip_bytes = uint64_t{2} << 30;
  uint64_t max_carry_bytes = uint64_t{4} << 30;
  // How often the loop looks at the clock when nothing else happens (real time).
  absl::Duration tick = absl::Milliseconds(500);
  // What time it is; tests put their own here.
  std::function<absl::Time()> clock = [] { return absl::Now(); };
};

// Thread-safe. Order of life: construct → Start() → register worker_service() with the gRPC server → … →
// StopAssigning() → WaitIdle() → Shutdown() → shut the gRPC server down → destroy. The gRPC server must be
// gone before the Dispatcher is. The pointers given to the constructor are borrowed and must outlive it.
class Dispatcher {
 public:
  Dispatcher(JobStore* store, ArtifactStore* artifacts, EventHub* hub, ServerMetrics* metrics,
             DispatcherOptions options);
  ~Dispatcher();  // calls Shutdown()
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Takes over the leases that the store still holds (their workers have lease_timeout to come back) and
  // starts the loop. An error of the store is returned and nothing is started.
  [[nodiscard]] absl::Status Start();

  // Some clip may have become leasable: call after CreateVideo and AppendPrompts. Returns at once.
  void WorkChanged();

  // The video was cancelled or deleted: its worker is told to stop. Returns at once.
  void VideoEnded(const std::string& video_id);

  // Workers with an open stream, by name.
  std::vector<v1::Worker> ListWorkers() const;

  // No more leases from now on; those that are held go on.
  void StopAssigning();
  // True if no worker holds a lease.
  bool Idle() const;
  // Waits until Idle() or the deadline (real time); returns Idle().
  bool WaitIdle(absl::Time deadline) const;

  // Ends all streams with UNAVAILABLE and stops the loop. Leases still held stay in the store, for the next
  // server to find. Idempotent.
  void Shutdown();

  // One pass of the loop: expires what is overdue at `now`, retries what the store could not do before,
  // matches idle workers to clips. The loop calls it; tests may too.
  void RunOnce(absl::Time now);

  // The gRPC service for workers; owned by the Dispatcher.
  grpc::Service* worker_service();

 private:
  std::unique_ptr<LeaseManager> manager_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_DISPATCHER_H_
