#include "tests/worker/agent/fake_training_server.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "gtest/gtest.h"

namespace svi::worker {

void FakeTrainingServer::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
}

void FakeTrainingServer::Stop() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeTrainingServer::Restart() {
  Stop();
  Start();
}

std::string FakeTrainingServer::address() const { return absl::StrCat("127.0.0.1:", port_); }

v1::TrainerRegister FakeTrainingServer::AwaitRegister() {
  const auto message = trainer_.Pop([](const v1::TrainerMessage& m) { return m.has_register_(); });
  return message ? message->register_() : v1::TrainerRegister();
}

void FakeTrainingServer::Answer(v1::TrainerRegistered registered) {
  registered.mutable_heartbeat_interval()->set_seconds(3600);
  v1::TrainerOrder order;
  *order.mutable_registered() = std::move(registered);
  Send(order);
}

v1::TrainerRegister FakeTrainingServer::Accept(v1::TrainerRegistered registered) {
  v1::TrainerRegister message = AwaitRegister();
  Answer(std::move(registered));
  return message;
}

v1::TrainerMessage FakeTrainingServer::Next() {
  return trainer_.Pop([](const v1::TrainerMessage& m) { return !m.has_heartbeat() && !m.has_progress(); })
      .value_or(v1::TrainerMessage());
}

v1::TrainerHeartbeat FakeTrainingServer::NextHeartbeat(
    std::function<bool(const v1::TrainerHeartbeat&)> wanted) {
  const auto message =
      trainer_.Pop([&](const v1::TrainerMessage& m) { return m.has_heartbeat() && wanted(m.heartbeat()); });
  return message ? message->heartbeat() : v1::TrainerHeartbeat();
}

v1::TrainingProgress FakeTrainingServer::NextProgress(
    std::function<bool(const v1::TrainingProgress&)> wanted) {
  const auto message = trainer_.Pop(
      [&](const v1::TrainerMessage& m) { return m.has_progress() && wanted(m.progress().progress()); });
  return message ? message->progress().progress() : v1::TrainingProgress();
}

void FakeTrainingServer::Assign(const v1::RunLease& lease, uint32_t max_steps) {
  v1::TrainerOrder order;
  *order.mutable_assign()->mutable_lease() = lease;
  order.mutable_assign()->mutable_spec()->set_dataset("boats");
  order.mutable_assign()->mutable_spec()->set_max_steps(max_steps);
  order.mutable_assign()->set_attempt(1);
  Send(order);
}

void FakeTrainingServer::Cancel(const v1::RunLease& lease, const std::string& reason) {
  v1::TrainerOrder order;
  *order.mutable_cancel()->mutable_lease() = lease;
  order.mutable_cancel()->set_reason(reason);
  Send(order);
}

void FakeTrainingServer::Accepted(const v1::RunLease& lease) {
  v1::TrainerOrder order;
  *order.mutable_accepted()->mutable_lease() = lease;
  Send(order);
}

v1::RunLease MakeRunLease(const std::string& run, uint64_t epoch) {
  v1::RunLease lease;
  lease.set_training_run("trainingRuns/" + run);
  lease.set_epoch(epoch);
  return lease;
}

LoraUpload ReceiveLora(FakeTrainingServer& server, std::string lora) {
  LoraUpload upload{std::move(lora), {}};
  while (!::testing::Test::HasFailure()) {
    const v1::TrainerMessage message = server.Next();
    if (message.has_done()) {
      upload.done = message.done();
      break;
    }
    EXPECT_TRUE(message.has_lora_chunk()) << message.ShortDebugString();
    if (!message.has_lora_chunk()) break;
    EXPECT_EQ(message.lora_chunk().offset(), upload.lora.size());
    EXPECT_LE(message.lora_chunk().data().size(), size_t{1} << 20);
    upload.lora += message.lora_chunk().data();
  }
  EXPECT_EQ(upload.done.lora_bytes(), upload.lora.size());
  EXPECT_EQ(upload.done.lora_sha256(), Sha256::Of(upload.lora));
  return upload;
}

}  // namespace svi::worker
