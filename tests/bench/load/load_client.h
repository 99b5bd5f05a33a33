// The client's side of the load: many callers that make videos, many watchers.
#ifndef SVI_TESTS_BENCH_LOAD_LOAD_CLIENT_H_
#define SVI_TESTS_BENCH_LOAD_LOAD_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "tests/bench/load/samples.h"
#include "tests/bench/load/server_process.h"
#include "tests/bench/load/timer.h"

namespace svi::load {

// One call that must succeed; the video's name.
std::string CreateOne(v1::VideoService::Stub& stub, const v1::VideoSpec& spec);

// `callers` at once make `count` videos, each one after the other. A caller that is told that the server is
// busy waits for as long as it is told.
struct CreateLoad {
  CreateLoad(const ServerProcess& server, const v1::VideoSpec& spec, int callers, int count);

  Samples latency;      // of calls that made a video
  double rate = 0;      // videos a second
  int64_t refused = 0;  // calls that were told to come again
  std::vector<std::string> names;
};

class Watcher final : public grpc::ClientReadReactor<v1::VideoEvent> {
 public:
  using OnEvent = std::function<void(const v1::VideoEvent&)>;

  // `on_event` runs on gRPC's threads. Not `reading`: opens the stream and takes nothing from it until Read.
  Watcher(v1::VideoService::Stub* stub, const std::string& name, OnEvent on_event, bool reading = true);

  // The server has begun to send.
  void AwaitOpen() ABSL_LOCKS_EXCLUDED(mu_);
  // From now on it takes what comes.
  void Read();
  void Cancel();
  grpc::Status AwaitEnd() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  const OnEvent on_event_;
  grpc::ClientContext context_;
  v1::WatchVideoRequest request_;
  v1::VideoEvent event_;
  std::atomic<bool> reading_{false};
  absl::Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

// Watchers that share connections, as many streams on each as HTTP/2 servers are used to.
class WatcherPool {
 public:
  WatcherPool(const ServerProcess* server, int window = 0) : server_(server), window_(window) {}
  ~WatcherPool();

  void Add(const std::string& name, Watcher::OnEvent on_event, bool reading = true);
  void AwaitOpen();
  void Read();
  // How each ended.
  std::vector<grpc::Status> AwaitEnd();

 private:
  static constexpr size_t kStreamsOfConnection = 100;

  const ServerProcess* const server_;
  const int window_;
  std::vector<std::unique_ptr<v1::VideoService::Stub>> stubs_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_LOAD_CLIENT_H_
