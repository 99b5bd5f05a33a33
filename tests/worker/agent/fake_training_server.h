// WorkerService.Train on a real socket, played by hand as FakeServer plays Work.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_TRAINING_SERVER_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_TRAINING_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "svi/v1/worker_service.grpc.pb.h"
#include "tests/worker/agent/conversation.h"

namespace svi::worker {

class FakeTrainingServer final : public v1::WorkerService::Service {
 public:
  FakeTrainingServer() { Start(); }
  ~FakeTrainingServer() override { Stop(); }

  std::string address() const;
  // Goes away, and comes back at the same address.
  void Restart();
  void Break() { trainer_.Break(); }

  // Waits for a trainer to register, and answers (with a heartbeat interval of one hour, so that heartbeats
  // come only where the protocol wants them).
  v1::TrainerRegister Accept(v1::TrainerRegistered registered = {});
  v1::TrainerRegister AwaitRegister();
  void Answer(v1::TrainerRegistered registered);
  void Send(const v1::TrainerOrder& order) { trainer_.Send(order); }
  // The next message that is neither a heartbeat nor progress; progress is put aside.
  v1::TrainerMessage Next();
  v1::TrainerHeartbeat NextHeartbeat(std::function<bool(const v1::TrainerHeartbeat&)> wanted);
  v1::TrainingProgress NextProgress(std::function<bool(const v1::TrainingProgress&)> wanted);

  void Assign(const v1::RunLease& lease, uint32_t max_steps);
  void Cancel(const v1::RunLease& lease, const std::string& reason);
  void Accepted(const v1::RunLease& lease);

 private:
  using Talk = Conversation<v1::TrainerMessage, v1::TrainerOrder>;
  void Start();
  void Stop();
  grpc::Status Train(grpc::ServerContext* context, Talk::Stream* stream) override {
    return trainer_.Serve(context, stream);
  }

  int port_ = 0;
  Talk trainer_;
  std::unique_ptr<grpc::Server> server_;
};

v1::RunLease MakeRunLease(const std::string& run, uint64_t epoch = 1);

// The LoRA, as uploaded from what `lora` holds up to TrainingDone; checks offsets and chunk sizes on the way.
struct LoraUpload {
  std::string lora;
  v1::TrainingDone done;
};
LoraUpload ReceiveLora(FakeTrainingServer& server, std::string lora = "");

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_FAKE_TRAINING_SERVER_H_
