// Trainers whose streams drop, servers that restart, and trainers that misbehave.
#include <gmock/gmock.h>

#include "tests/server/lease/trainer_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

TEST_F(TrainerTest, ATrainerGoesOnWithItsRunAfterAReconnect) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  const std::string lora = Bytes(900'000, 'l');
  trainer->SendChunk(lease, 0, lora.substr(0, 400'000));
  trainer->Barrier();
  trainer->Vanish();
  trainer->End();

  auto again = ConnectTrainer();
  const v1::TrainerRegistered registered = again->Register("t1", lease);
  ASSERT_TRUE(registered.resume());
  EXPECT_EQ(registered.lora_bytes_received(), 400'000U);
  again->SendChunk(lease, 400'000, lora.substr(400'000));
  again->SendDone(lease, lora);
  again->ExpectAccepted(lease);
  EXPECT_EQ(ReadLora("r1"), lora);
  EXPECT_EQ(Run("r1").attempt(), 1U);
}

TEST_F(TrainerTest, ARunIsKeptForATrainerThatIsCutOffOnlyForTheTimeout) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Vanish();
  trainer->End();
  AwaitTrainerGone("t1");
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_RUNNING);
  LetLeasesExpire();
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
  auto late = ConnectTrainer();
  EXPECT_FALSE(late->Register("t1", lease).resume());
  late->ExpectCancel(lease, "LEASE_LOST");
  late->Fail(lease, "CANCELLED", false, true);
  EXPECT_EQ(late->TakeRun().lease().epoch(), 2U);
}

TEST_F(TrainerTest, ARunOutlivesARestartOfTheServer) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Report(lease, ProgressAt(9));
  trainer->SendChunk(lease, 0, "lo");
  trainer->Barrier();
  StopServer();
  trainer->End();
  StartServer();
  EXPECT_FALSE(dispatcher_->TrainersIdle());
  EXPECT_TRUE(dispatcher_->Idle());
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_RUNNING);

  auto again = ConnectTrainer();
  const v1::TrainerRegistered registered = again->Register("t1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.lora_bytes_received(), 0U);  // half an upload does not outlive the server
  again->Report(lease, ProgressAt(10));
  again->Upload(lease, "lora");
  again->ExpectAccepted(lease);
  EXPECT_EQ(ReadLora("r1"), "lora");
  EXPECT_EQ(Run("r1").attempt(), 1U);
}

TEST_F(TrainerTest, AFullRunOutlivesARestartToo) {
  MakeRun("r1", "", v1::OBJECTIVE_FULL);
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  const v1::RunLease lease = trainer->TakeRun().lease();
  StopServer();
  trainer->End();
  StartServer();
  auto again = ConnectTrainer();
  EXPECT_TRUE(again->Register("t1", lease).resume());
  again->SendDone(lease, "");
  again->ExpectAccepted(lease);
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_SUCCEEDED);
}

TEST_F(TrainerTest, AfterARestartARunWhoseTrainerStaysAwayIsGivenOutAgainAndNotCounted) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  StopServer();
  trainer->End();
  StartServer();
  auto other = ConnectTrainer();
  EXPECT_FALSE(other->Register("t2", lease).resume());  // it is another's
  other->ExpectCancel(lease, "LEASE_LOST");
  other.reset();
  AwaitTrainerGone("t2");
  LetLeasesExpire();
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
  auto third = ConnectTrainer();
  third->Register("t3");
  const v1::AssignRun assign = third->TakeRun();
  EXPECT_EQ(assign.attempt(), 1U);
  EXPECT_EQ(assign.lease().epoch(), 2U);
  EXPECT_EQ(CountRunEvents("r1", v1::TrainingEvent::kAttemptFailed), 0);
}

TEST_F(TrainerTest, ATrainerThatComesBackWithoutItsRunHasFailed) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Vanish();
  trainer->End();
  auto again = ConnectTrainer();
  EXPECT_FALSE(again->Register("t1").resume());
  const v1::AssignRun assign = again->TakeRun();
  EXPECT_EQ(assign.lease().epoch(), 2U);
  EXPECT_EQ(assign.attempt(), 2U);
}

TEST_F(TrainerTest, ARunWhoseAcceptGotLostIsAcceptedAgain) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Upload(lease, "lora");
  trainer->ExpectAccepted(lease);  // pretend that it did not come
  trainer->Vanish();
  trainer->End();
  MakeRun("r2");
  auto again = ConnectTrainer();
  const v1::TrainerRegistered registered = again->Register("t1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.lora_bytes_received(), 4U);
  dispatcher_->RunOnce(clock_.Now());  // no new work before that is settled
  again->SendDone(lease, "lora");
  again->ExpectAccepted(lease);
  EXPECT_EQ(again->TakeRun().lease().training_run(), "trainingRuns/r2");
  EXPECT_EQ(training_->CountRuns()->loras, 1);
}

TEST_F(TrainerTest, AnOldLeaseIsFencedOff) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Fail(lease, "OUT_OF_MEMORY", false, false);
  const v1::RunLease current = trainer->TakeRun().lease();
  trainer->Report(lease, ProgressAt(50));
  trainer->ExpectCancel(lease, "LEASE_LOST");
  trainer->Upload(lease, "stale");
  trainer->Report(current, ProgressAt(2));
  trainer->Barrier();
  EXPECT_EQ(Run("r1").progress().step(), 2U);
  trainer->Upload(current, "fresh");
  trainer->ExpectAccepted(current);
  EXPECT_EQ(ReadLora("r1"), "fresh");
}

TEST_F(TrainerTest, TheNewerStreamOfATrainerWins) {
  v1::RunLease lease;
  auto older = Begin("r1", &lease);
  auto newer = ConnectTrainer();
  EXPECT_TRUE(newer->Register("t1", lease).resume());
  EXPECT_TRUE(IsCutOff(older->End(), grpc::StatusCode::ABORTED));
  newer->Upload(lease, "lora");
  newer->ExpectAccepted(lease);
}

TEST_F(TrainerTest, TrainersThatMisbehaveAreCutOff) {
  const auto expect = [&](const v1::TrainerMessage& message, grpc::StatusCode code, const char* text) {
    auto trainer = ConnectTrainer();
    if (!message.has_register_()) trainer->Register("t1");
    trainer->Send(message);
    const grpc::Status status = trainer->End();
    EXPECT_EQ(status.error_code(), code) << message.ShortDebugString();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  };
  v1::TrainerMessage message;
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "empty");
  message.mutable_register_()->set_worker_id("No Good");
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "register.worker_id");
  message.mutable_register_()->set_worker_id("t1");
  message.mutable_register_()->set_model(std::string(257, 'm'));
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "register.model");
  message.Clear();
  message.mutable_heartbeat()->mutable_lease()->set_training_run("videos/cat");
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "lease.training_run");
  *message.mutable_heartbeat()->mutable_lease() = RunLeaseOf("../x", 1);
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "lease.training_run");
  *message.mutable_heartbeat()->mutable_lease() = RunLeaseOf("r1", 0);
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "lease.epoch");
  message.Clear();
  *message.mutable_lora_chunk()->mutable_lease() = RunLeaseOf("r1", 1);
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "lora_chunk.data");
  message.mutable_lora_chunk()->set_data(std::string((1 << 20) + 1, 'x'));
  expect(message, grpc::StatusCode::INVALID_ARGUMENT, "lora_chunk.data");
  auto unregistered = ConnectTrainer();
  unregistered->Heartbeat();
  EXPECT_EQ(unregistered->End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(TrainerTest, AMisbehavingTrainerLosesItsRun) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Send({});
  EXPECT_EQ(trainer->End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
  EXPECT_EQ(CountRunEvents("r1", v1::TrainingEvent::kAttemptFailed), 1);
}

}  // namespace
}  // namespace svi::server
