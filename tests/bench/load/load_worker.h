// Workers that speak the real protocol over connections of their own and make nothing.
#ifndef SVI_TESTS_BENCH_LOAD_LOAD_WORKER_H_
#define SVI_TESTS_BENCH_LOAD_LOAD_WORKER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "svi/v1/worker_service.grpc.pb.h"
#include "tests/bench/load/cheap_engine.h"
#include "tests/bench/load/samples.h"
#include "tests/bench/load/server_process.h"
#include "tests/bench/load/timer.h"

namespace svi::load {

// How a worker goes about its clips.
struct Pace {
  // What a clip takes before it is uploaded.
  absl::Duration clip;
  // Meanwhile progress is told this often; its eta is the load's clock when it was sent (Uptime), so that who
  // receives it can tell how long it was under way.
  absl::Duration progress = absl::InfiniteDuration();
  // Uploads stop in the middle of the carry, until GoOn.
  bool stall = false;
};

// What all workers of a pool saw.
struct WorkerFigures {
  Samples hand_over;  // from ClipDone, sent, to the next Assign
  Samples commit;     // from ClipDone, sent, to ClipAccepted
  std::atomic<int64_t> clips{0};
  std::atomic<int64_t> stalled{0};
  // Called on gRPC's threads; must be quick. May be empty; to be set before the first worker.
  std::function<void(const v1::LeaseId&)> assigned;
  std::function<void(const v1::LeaseId&)> done_sent;
};

// The load's clock: since it began.
absl::Duration Uptime();

class LoadWorker final : public grpc::ClientBidiReactor<v1::WorkerMessage, v1::ServerMessage> {
 public:
  // All borrowed.
  LoadWorker(std::shared_ptr<grpc::Channel> channel, const std::string& id, const CheapEngine* engine,
             const Pace& pace, Timer* timer, WorkerFigures* figures);

  void Heartbeat() ABSL_LOCKS_EXCLUDED(mu_);
  // With Pace::stall: the rest of the upload, and of all later ones.
  void GoOn() ABSL_LOCKS_EXCLUDED(mu_);
  void Cancel() { context_.TryCancel(); }
  // How its stream ended. The timer must have been stopped before it is destroyed.
  grpc::Status AwaitEnd() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  [[nodiscard]] bool IsCurrent(const v1::LeaseId& lease) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Take(const v1::Assign& assign) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // All inputs are here.
  void Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Work(const v1::LeaseId& lease, absl::Time until) ABSL_LOCKS_EXCLUDED(mu_);
  void Upload() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UploadRest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendChunks(v1::ArtifactKind kind, const std::string& bytes, size_t from, size_t to)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Send(v1::WorkerMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const CheapEngine* const engine_;
  const Pace pace_;
  Timer* const timer_;
  WorkerFigures* const figures_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ServerMessage incoming_;  // gRPC's between StartRead and OnReadDone

  absl::Mutex mu_;
  std::deque<v1::WorkerMessage> outgoing_ ABSL_GUARDED_BY(mu_);  // front: in flight
  v1::LeaseId lease_ ABSL_GUARDED_BY(mu_);
  bool working_ ABSL_GUARDED_BY(mu_) = false;
  bool stall_ ABSL_GUARDED_BY(mu_);
  bool half_way_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t missing_ ABSL_GUARDED_BY(mu_) = 0;  // bytes of inputs
  absl::Time done_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool broken_ ABSL_GUARDED_BY(mu_) = false;  // nothing more can be written
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

// Thread-safe but for Add.
class WorkerPool {
 public:
  WorkerPool(const ServerProcess* server, const CheapEngine* engine);
  ~WorkerPool();

  void Add(int count, const Pace& pace);
  void GoOn();
  [[nodiscard]] WorkerFigures& figures() { return figures_; }

 private:
  void Beat();

  const ServerProcess* const server_;
  const CheapEngine* const engine_;
  WorkerFigures figures_;
  absl::Mutex mu_;
  std::vector<std::unique_ptr<LoadWorker>> workers_ ABSL_GUARDED_BY(mu_);
  Timer timer_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_LOAD_WORKER_H_
