// A WorkerService on a real socket that the test plays by hand: it reads what the worker says, and answers.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_SERVER_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "svi/v1/worker_service.grpc.pb.h"
#include "tests/worker/agent/conversation.h"
#include "tests/worker/agent/fake_loras.h"

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
  void Send(v1::ServerMessage message) { worker_.Send(message); }
  // The next message that is neither a heartbeat nor progress; those are put aside.
  v1::WorkerMessage Next();
  // The next heartbeat for which `wanted` holds.
  v1::Heartbeat NextHeartbeat(std::function<bool(const v1::Heartbeat&)> wanted);
  // Progress that came before what Next returned last.
  std::vector<v1::Progress> TakeProgress();
  void Break() { worker_.Break(); }
  void WaitEnded() { worker_.WaitEnded(); }
  // What is published.
  FakeLoras& loras() { return loras_; }

  void SendAssign(const v1::Assign& assign, const std::string& image, const std::string& carry);

 private:
  using Talk = Conversation<v1::WorkerMessage, v1::ServerMessage>;
  grpc::Status Work(grpc::ServerContext* context, Talk::Stream* stream) override {
    return worker_.Serve(context, stream);
  }
  std::optional<v1::WorkerMessage> Pop(std::function<bool(const v1::WorkerMessage&)> wanted);

  int port_ = 0;
  Talk worker_;
  FakeLoras loras_;
  std::vector<v1::Progress> progress_;    // the test's thread only
  std::unique_ptr<grpc::Server> server_;  // last: ends its calls before the rest goes
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
