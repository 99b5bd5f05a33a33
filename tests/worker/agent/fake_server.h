// A WorkerService on a real socket that the test plays by hand: it reads what the worker says, and answers.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_SERVER_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::worker {

class FakeServer final : public v1::WorkerService::Service {
 public:
  FakeServer();
  ~FakeServer() override;

  std::string address() const;

  // Waits for a worker to connect and to send Register; answers `registered` (with a heartbeat interval of
  // one hour, so that heartbeats come only where the protocol wants them).
  v1::Register Accept(v1::Registered registered = {});
  // The two halves of Accept.
  v1::Register AwaitRegister();
  void Answer(v1::Registered registered);
  void Send(v1::ServerMessage message);
  // The next message that is neither a heartbeat nor progress; those are put aside. Fails the test after 30
  // s.
  v1::WorkerMessage Next();
  // The next heartbeat for which `wanted` holds.
  v1::Heartbeat NextHeartbeat(std::function<bool(const v1::Heartbeat&)> wanted);
  // Progress that came before what Next returned last.
  std::vector<v1::Progress> TakeProgress();
  // Breaks the connection.
  void Break();
  // Waits until the worker has ended the connection.
  void WaitEnded();

  void SendAssign(const v1::Assign& assign, const std::string& image, const std::string& carry);

 private:
  using Stream = grpc::ServerReaderWriter<v1::ServerMessage, v1::WorkerMessage>;
  grpc::Status Work(grpc::ServerContext* context, Stream* stream) override;
  std::optional<v1::WorkerMessage> Pop(std::function<bool(const v1::WorkerMessage&)> wanted);

  int port_ = 0;
  absl::Mutex mu_;
  Stream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::deque<v1::WorkerMessage> received_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::Progress> progress_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Server> server_;
};

// Both artifacts, as uploaded from `first` up to ClipDone; checks offsets and chunk sizes on the way.
struct Upload {
  std::string clip, carry;
  v1::ClipDone done;
};
Upload ReceiveClip(FakeServer& server, std::string clip = "", std::string carry = "");

v1::LeaseId MakeLease(const std::string& video, uint32_t clip, uint64_t epoch = 1);
// A PNG of one colour.
std::string TestPng();
v1::Assign MakeAssign(const v1::LeaseId& lease, const std::string& image, const std::string& carry);
void Accepted(FakeServer& server, const v1::LeaseId& lease);

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_FAKE_SERVER_H_
