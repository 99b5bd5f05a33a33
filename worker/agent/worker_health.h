// grpc.health.v1 of a worker, for whoever keeps it running: the one port that it listens on, if it is told
// to.
#ifndef SVI_WORKER_AGENT_WORKER_HEALTH_H_
#define SVI_WORKER_AGENT_WORKER_HEALTH_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace svi::worker {

// Services: "" is SERVING while the worker is registered with a server, takes work and its engine goes on;
// "live" until its engine hangs. Thread-safe.
class WorkerHealth {
 public:
  // HOST:PORT; with port 0 a free one. Not ready at first. UNAVAILABLE: it cannot listen there.
  static absl::StatusOr<std::unique_ptr<WorkerHealth>> Listen(const std::string& address);
  ~WorkerHealth();

  void SetReady(bool ready);
  // For good: not ready any more, either.
  void SetDead();
  [[nodiscard]] int port() const { return port_; }

 private:
  WorkerHealth() = default;

  grpc::CallbackGenericService
      others_;  // answers UNIMPLEMENTED; gRPC does not start a server without a service
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_WORKER_HEALTH_H_
