// A LeaseTest whose workers train.
#ifndef SVI_TESTS_SERVER_LEASE_TRAINER_FIXTURE_H_
#define SVI_TESTS_SERVER_LEASE_TRAINER_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/server/lease/lease_fixture.h"

namespace svi::server {

class ScriptedTrainer : public ScriptedStream<v1::TrainerMessage, v1::TrainerOrder, v1::RunLease> {
 public:
  explicit ScriptedTrainer(const std::shared_ptr<grpc::Channel>& channel) : ScriptedStream(channel) {
    stream_ = stub_->Train(&context_);
  }

  // Registers, and returns the answer.
  v1::TrainerRegistered Register(const std::string& id,
                                 const std::optional<v1::RunLease>& holding = std::nullopt);
  // Expects an AssignRun.
  v1::AssignRun TakeRun();
  void Report(const v1::RunLease& lease, const v1::TrainingProgress& progress);
  void SendChunk(const v1::RunLease& lease, uint64_t offset, const std::string& data);
  void SendDone(const v1::RunLease& lease, const std::string& lora);
  // All of a LoRA, and TrainingDone.
  void Upload(const v1::RunLease& lease, const std::string& lora);
};

class TrainerTest : public LeaseTest {
 protected:
  std::unique_ptr<ScriptedTrainer> ConnectTrainer() { return std::make_unique<ScriptedTrainer>(channel_); }

  void MakeRun(const std::string& id, const std::string& lora_name = "",
               v1::Objective objective = v1::OBJECTIVE_LORA);
  // A trainer with the run's lease, of which the server has had word.
  std::unique_ptr<ScriptedTrainer> Begin(const std::string& id, v1::RunLease* lease);

  v1::TrainingRun Run(const std::string& id);
  int CountRunEvents(const std::string& id, v1::TrainingEvent::EventCase kind);
  std::string ReadLora(const std::string& name);
  // Returns when the server has noticed that this trainer's stream is gone.
  void AwaitTrainerGone(const std::string& id);
};

v1::RunLease RunLeaseOf(const std::string& run, uint64_t epoch);
v1::TrainingProgress ProgressAt(uint32_t step);

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_LEASE_TRAINER_FIXTURE_H_
