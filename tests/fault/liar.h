// A worker that says what a test wants it to say, over a real connection.
#ifndef SVI_TESTS_FAULT_LIAR_H_
#define SVI_TESTS_FAULT_LIAR_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::fault {

// Blocks; a connection that hangs ends by its deadline, and fails the test.
class Liar {
 public:
  explicit Liar(const std::string& server, const std::string& id = "liar");
  ~Liar();

  void Send(const v1::WorkerMessage& message) { (void)stream_->Write(message); }
  void Register();
  // Waits for a lease, takes its inputs, and says that it works on it.
  v1::Assign Take();
  void SendChunk(const v1::LeaseId& lease, v1::ArtifactKind kind, uint64_t offset, const std::string& data);
  // What a worker says that is done; its sizes and hashes are those of `clip` and `carry`.
  static v1::ClipDone Done(const v1::LeaseId& lease, const std::string& clip, const std::string& carry);
  void SendDone(const v1::ClipDone& done);
  // Both artifacts, whole, and `done`.
  void Upload(const v1::ClipDone& done, const std::string& clip, const std::string& carry);
  void HandBack(const v1::LeaseId& lease);
  // Why it is told to drop the lease; empty: it is told that the clip is accepted, or nothing.
  std::string AwaitVerdict(const v1::LeaseId& lease);
  // How the server ends the connection.
  grpc::Status End();

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::ServerMessage>> stream_;
  const std::string id_;
  bool ended_ = false;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_LIAR_H_
