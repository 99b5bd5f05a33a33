// One connection to the server: a bidirectional call of WorkerService.
#ifndef SVI_WORKER_AGENT_WORK_STREAM_H_
#define SVI_WORKER_AGENT_WORK_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "client/endpoint.h"
#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::worker {

// <v1::WorkerMessage, v1::ServerMessage> is a call of Work, <v1::TrainerMessage, v1::TrainerOrder> one of
// Train. Read, Write, HalfClose and Release are called by one thread; callbacks come on gRPC's threads and
// must not block. At most one Read and one Write are under way at a time.
template <typename Outgoing, typename Incoming>
class WorkStream final : public grpc::ClientBidiReactor<Outgoing, Incoming> {
 public:
  struct Callbacks {
    std::function<void(Incoming)> message;  // a Read brought this
    std::function<void()> ended;            // a Read found the end: call Release
    std::function<void(bool ok)> written;   // a Write is over
    // After Release: how the call ended. The last use of the stream by gRPC; what is passed must be destroyed
    // on another thread than gRPC's, since gRPC 1.51 ends its callback threads with the last channel, and
    // waits for them.
    std::function<void(grpc::Status, std::shared_ptr<WorkStream>)> closed;
  };

  // Dials `server` on a channel of its own, so that no back-off of an earlier one delays it.
  static std::shared_ptr<WorkStream> Start(const Endpoint& endpoint, Callbacks callbacks);

  void Read() { this->StartRead(&incoming_); }
  void Write(Outgoing message);
  // No more writes; the server ends the call when it has read them all.
  void HalfClose() { this->StartWritesDone(); }
  // Cancels the call unless it is over. Nothing else may be called after it, on it.
  void Release();

 private:
  explicit WorkStream(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override { callbacks_.written(ok); }
  void OnDone(const grpc::Status& status) override;

  const Callbacks callbacks_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  Incoming incoming_;
  Outgoing outgoing_;
  std::shared_ptr<WorkStream> self_;  // until OnDone, for gRPC
};

extern template class WorkStream<v1::WorkerMessage, v1::ServerMessage>;
extern template class WorkStream<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_WORK_STREAM_H_
