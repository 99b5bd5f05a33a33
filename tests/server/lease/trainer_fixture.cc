#include "tests/server/lease/trainer_fixture.h"

#include <algorithm>

#include "client/sha256.h"

namespace svi::server {

v1::RunLease RunLeaseOf(const std::string& run, uint64_t epoch) {
  v1::RunLease lease;
  lease.set_training_run("trainingRuns/" + run);
  lease.set_epoch(epoch);
  return lease;
}

v1::TrainingProgress ProgressAt(uint32_t step) {
  v1::TrainingProgress progress;
  progress.set_step(step);
  progress.set_max_steps(100);
  progress.set_loss(0.25);
  return progress;
}

v1::TrainerRegistered ScriptedTrainer::Register(const std::string& id,
                                                const std::optional<v1::RunLease>& holding) {
  v1::TrainerMessage message;
  v1::TrainerRegister& request = *message.mutable_register_();
  request.set_worker_id(id);
  request.set_version("1.2.3");
  request.set_device("cpu");
  request.set_model("tiny");
  request.set_ranks(2);
  if (holding) *request.mutable_holding() = *holding;
  Send(message);
  const auto answer = Next();
  EXPECT_TRUE(answer && answer->has_registered()) << (answer ? answer->ShortDebugString() : "stream ended");
  return answer ? answer->registered() : v1::TrainerRegistered();
}

v1::AssignRun ScriptedTrainer::TakeRun() {
  const auto order = Next();
  EXPECT_TRUE(order && order->has_assign()) << (order ? order->ShortDebugString() : "stream ended");
  return order ? order->assign() : v1::AssignRun();
}

void ScriptedTrainer::Report(const v1::RunLease& lease, const v1::TrainingProgress& progress) {
  v1::TrainerMessage message;
  *message.mutable_progress()->mutable_lease() = lease;
  *message.mutable_progress()->mutable_progress() = progress;
  Send(message);
}

void ScriptedTrainer::SendChunk(const v1::RunLease& lease, uint64_t offset, const std::string& data) {
  v1::TrainerMessage message;
  *message.mutable_lora_chunk()->mutable_lease() = lease;
  message.mutable_lora_chunk()->set_offset(offset);
  message.mutable_lora_chunk()->set_data(data);
  Send(message);
}

void ScriptedTrainer::SendDone(const v1::RunLease& lease, const std::string& lora) {
  v1::TrainerMessage message;
  v1::TrainingDone& done = *message.mutable_done();
  *done.mutable_lease() = lease;
  *done.mutable_progress() = ProgressAt(100);
  if (!lora.empty()) {
    done.set_lora_bytes(lora.size());
    done.set_lora_sha256(Sha256::Of(lora));
    done.set_rank(16);
  }
  Send(message);
}

void ScriptedTrainer::Upload(const v1::RunLease& lease, const std::string& lora) {
  constexpr size_t kChunk = 700000;
  for (size_t at = 0; at < lora.size(); at += kChunk) SendChunk(lease, at, lora.substr(at, kChunk));
  SendDone(lease, lora);
}

void TrainerTest::MakeRun(const std::string& id, const std::string& lora_name, v1::Objective objective) {
  NewTrainingRun run;
  run.id = id;
  run.spec.set_dataset("scenes");
  run.spec.set_max_steps(100);
  run.spec.set_lora_name(lora_name);
  run.spec.set_objective(objective);
  bool replayed = false;
  bool name_taken = false;
  const auto made = training_->CreateRun(run, clock_.Now(), &replayed, &name_taken);
  ASSERT_TRUE(made.ok()) << made.status();
  clock_.Advance(absl::Milliseconds(1));  // so that runs have an order
  dispatcher_->RunsChanged();
}

std::unique_ptr<ScriptedTrainer> TrainerTest::Begin(const std::string& id, v1::RunLease* lease) {
  MakeRun(id);
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  *lease = trainer->TakeRun().lease();
  trainer->Heartbeat(*lease);
  trainer->Barrier();
  return trainer;
}

v1::TrainingRun TrainerTest::Run(const std::string& id) {
  AwaitTask();
  const auto run = training_->GetRun(id);
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *run : v1::TrainingRun();
}

int TrainerTest::CountRunEvents(const std::string& id, v1::TrainingEvent::EventCase kind) {
  AwaitTask();
  const auto events = training_->ListRunEvents(id, 0, 1000);
  EXPECT_TRUE(events.ok()) << events.status();
  return static_cast<int>(
      std::count_if(events->begin(), events->end(),
                    [kind](const v1::TrainingEvent& event) { return event.event_case() == kind; }));
}

std::string TrainerTest::ReadLora(const std::string& name) {
  const auto lora = training_->GetLora(name);
  EXPECT_TRUE(lora.ok()) << lora.status();
  if (!lora.ok()) return "";
  auto bytes = artifacts_->ReadAt(lora->file, 0, lora->file.size);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : "";
}

void TrainerTest::AwaitTrainerGone(const std::string& id) {
  const auto connected = [&] {
    const auto trainers = dispatcher_->ListTrainers();
    return std::any_of(trainers.begin(), trainers.end(),
                       [&](const v1::Worker& worker) { return worker.name() == "workers/" + id; });
  };
  while (connected()) absl::SleepFor(absl::Milliseconds(1));
  AwaitTask();
}

}  // namespace svi::server
