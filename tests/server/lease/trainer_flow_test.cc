// Training runs from the queue to a published LoRA, and how they end otherwise.
#include <gmock/gmock.h>

#include "client/sha256.h"
#include "tests/server/lease/trainer_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

TEST_F(TrainerTest, ARunBecomesALora) {
  MakeRun("r1", "ink");
  auto trainer = ConnectTrainer();
  const v1::TrainerRegistered registered = trainer->Register("t1");
  EXPECT_EQ(registered.heartbeat_interval().seconds(), 2);
  EXPECT_EQ(registered.lease_timeout().seconds(), 10);
  EXPECT_FALSE(registered.resume());
  const v1::AssignRun assign = trainer->TakeRun();
  EXPECT_EQ(assign.lease().training_run(), "trainingRuns/r1");
  EXPECT_EQ(assign.lease().epoch(), 1U);
  EXPECT_EQ(assign.attempt(), 1U);
  EXPECT_EQ(assign.spec().dataset(), "scenes");
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_RUNNING);
  EXPECT_EQ(Run("r1").worker(), "workers/t1");

  trainer->Report(assign.lease(), ProgressAt(7));
  trainer->Barrier();
  EXPECT_EQ(Run("r1").progress().step(), 7U);
  const std::string lora = Bytes(1'500'000, 'l');
  trainer->Upload(assign.lease(), lora);
  trainer->ExpectAccepted(assign.lease());
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_SUCCEEDED);
  EXPECT_EQ(Run("r1").lora(), "loras/ink");
  EXPECT_EQ(Run("r1").progress().step(), 100U);
  EXPECT_EQ(training_->GetLora("ink")->lora.rank(), 16U);
  EXPECT_EQ(training_->GetLora("ink")->lora.sha256(), Sha256::Of(lora));
  EXPECT_EQ(ReadLora("ink"), lora);
  EXPECT_TRUE(dispatcher_->TrainersIdle());
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_training_attempts_total{outcome=\"committed\"} 1\n"));
}

TEST_F(TrainerTest, AFullRunSendsNoLora) {
  MakeRun("r1", "", v1::OBJECTIVE_FULL);
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  const v1::RunLease lease = trainer->TakeRun().lease();
  trainer->SendDone(lease, "");
  trainer->ExpectAccepted(lease);
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_SUCCEEDED);
  EXPECT_EQ(Run("r1").lora(), "");
}

TEST_F(TrainerTest, RunsGoInTheirOrderToWhoHasWaitedLongest) {
  auto first = ConnectTrainer();
  first->Register("t1");
  clock_.Advance(absl::Seconds(1));
  auto second = ConnectTrainer();
  second->Register("t2");
  MakeRun("r1");
  EXPECT_EQ(first->TakeRun().lease().training_run(), "trainingRuns/r1");
  MakeRun("r2");
  EXPECT_EQ(second->TakeRun().lease().training_run(), "trainingRuns/r2");
  MakeRun("r3");
  MakeRun("r4");
  EXPECT_EQ(Run("r3").state(), v1::TRAINING_STATE_QUEUED);
  auto third = ConnectTrainer();
  third->Register("t3");
  EXPECT_EQ(third->TakeRun().lease().training_run(), "trainingRuns/r3");
}

TEST_F(TrainerTest, ARunThatIsTriedAgainGoesBackToItsTrainer) {
  auto idle = ConnectTrainer();
  idle->Register("t1");
  idle->Heartbeat(std::nullopt, /*draining=*/true);
  idle->Barrier();
  v1::RunLease lease;
  MakeRun("r1");
  auto trainer = ConnectTrainer();
  trainer->Register("t2");
  lease = trainer->TakeRun().lease();
  clock_.Advance(absl::Seconds(1));
  auto longer_idle = ConnectTrainer();
  longer_idle->Register("t0");
  clock_.Advance(absl::Seconds(1));
  trainer->Fail(lease, "OUT_OF_MEMORY", /*permanent=*/false, /*handed_back=*/false);
  const v1::AssignRun again = trainer->TakeRun();
  EXPECT_EQ(again.attempt(), 2U);
  EXPECT_EQ(again.lease().epoch(), 2U);
  EXPECT_EQ(CountRunEvents("r1", v1::TrainingEvent::kAttemptFailed), 1);
}

TEST_F(TrainerTest, CancellingReachesTheTrainerAtOnce) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  MakeRun("r2");
  ASSERT_TRUE(training_->CancelRun("r1", clock_.Now()).ok());
  dispatcher_->RunEnded("r1");
  trainer->ExpectCancel(lease, "RUN_CANCELLED");
  // It writes its checkpoint, and gets the next run only when it says that it has stopped.
  trainer->Heartbeat(lease);
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Run("r2").state(), v1::TRAINING_STATE_QUEUED);
  trainer->Fail(lease, "CANCELLED", /*permanent=*/false, /*handed_back=*/true);
  EXPECT_EQ(trainer->TakeRun().lease().training_run(), "trainingRuns/r2");
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_CANCELLED);
  EXPECT_EQ(CountRunEvents("r1", v1::TrainingEvent::kAttemptFailed), 0);
}

TEST_F(TrainerTest, WhatComesAfterACancelIsRefused) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->SendChunk(lease, 0, "half a");
  trainer->Barrier();
  ASSERT_TRUE(training_->CancelRun("r1", clock_.Now()).ok());
  dispatcher_->RunEnded("r1");
  trainer->ExpectCancel(lease, "RUN_CANCELLED");
  trainer->Upload(lease, "lora");
  trainer->Barrier();
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_CANCELLED);
  EXPECT_EQ(training_->CountRuns()->loras, 0);
  EXPECT_FALSE(Exists("r1/lora.e1.safetensors"));
  EXPECT_EQ(PartialFiles(), 0);
}

TEST_F(TrainerTest, FailuresAreRetriedHandedBackOrFinal) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->Fail(lease, "SHUTDOWN", /*permanent=*/false, /*handed_back=*/true);
  v1::AssignRun assign = trainer->TakeRun();
  EXPECT_EQ(assign.attempt(), 1U);
  for (uint32_t attempt = 1; attempt < options_.max_attempts; ++attempt) {
    trainer->Fail(assign.lease(), "OUT_OF_MEMORY", false, false);
    assign = trainer->TakeRun();
    EXPECT_EQ(assign.attempt(), attempt + 1);
  }
  trainer->Fail(assign.lease(), "OUT_OF_MEMORY", false, false);
  trainer->Barrier();
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_FAILED);
  EXPECT_EQ(Run("r1").error().reason(), "OUT_OF_MEMORY");

  MakeRun("r2");
  trainer->Heartbeat();
  trainer->Fail(trainer->TakeRun().lease(), "DATASET_NOT_FOUND", /*permanent=*/true, false);
  trainer->Barrier();
  EXPECT_EQ(Run("r2").state(), v1::TRAINING_STATE_FAILED);
  EXPECT_EQ(Run("r2").attempt(), 1U);
}

TEST_F(TrainerTest, ADamagedUploadIsRefused) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  const std::string lora = Bytes(5000, 'l');
  trainer->SendChunk(lease, 0, Bytes(5000, 'x'));
  trainer->SendDone(lease, lora);  // the hash of other bytes
  trainer->ExpectCancel(lease, "LORA_REFUSED");
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
  EXPECT_EQ(CountRunEvents("r1", v1::TrainingEvent::kAttemptFailed), 1);
  EXPECT_FALSE(Exists("r1/lora.e1.safetensors"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_training_attempts_total{outcome=\"refused\"} 1\n"));

  // A gap, and a size that was not sent.
  trainer->Heartbeat();
  const v1::RunLease second = trainer->TakeRun().lease();
  trainer->SendChunk(second, 10, "late");
  trainer->ExpectCancel(second, "LORA_REFUSED");
  trainer->Heartbeat();
  const v1::RunLease third = trainer->TakeRun().lease();
  trainer->SendChunk(third, 0, lora.substr(0, 100));
  trainer->SendDone(third, lora);
  trainer->ExpectCancel(third, "LORA_REFUSED");
  trainer->Barrier();
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_FAILED);
  EXPECT_EQ(Run("r1").error().reason(), "UPLOAD_CORRUPT");
  EXPECT_EQ(PartialFiles(), 0);
}

TEST_F(TrainerTest, ALoraRunWithoutALoraAndAFullOneWithOneAreRefused) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->SendDone(lease, "");
  trainer->ExpectCancel(lease, "LORA_REFUSED");
  ASSERT_TRUE(training_->CancelRun("r1", clock_.Now()).ok());
  dispatcher_->RunEnded("r1");
  MakeRun("full", "", v1::OBJECTIVE_FULL);
  trainer->Heartbeat();
  const v1::RunLease full = trainer->TakeRun().lease();
  trainer->Upload(full, "lora");
  trainer->ExpectCancel(full, "LORA_REFUSED");
  EXPECT_EQ(training_->CountRuns()->loras, 0);
}

TEST_F(TrainerTest, MoreThanTheLimitIsRefused) {
  StopServer();
  options_.max_lora_bytes = 1000;
  StartServer();
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  trainer->SendChunk(lease, 0, Bytes(600, 'a'));
  trainer->SendChunk(lease, 600, Bytes(600, 'a'));
  trainer->ExpectCancel(lease, "LORA_REFUSED");
}

TEST_F(TrainerTest, ASilentTrainerLosesItsRun) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  LetLeasesExpire();
  EXPECT_TRUE(IsCutOff(trainer->End(), grpc::StatusCode::DEADLINE_EXCEEDED));
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_training_lease_expiries_total 1\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_lease_expiries_total 0\n"));
  auto other = ConnectTrainer();
  other->Register("t2");
  EXPECT_EQ(other->TakeRun().attempt(), 2U);
}

TEST_F(TrainerTest, ATrainerThatTalksOfSomethingElseLosesItsRun) {
  MakeRun("r1");
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  const v1::RunLease lease = trainer->TakeRun().lease();
  for (int i = 0; i < 2; ++i) {
    clock_.Advance(absl::Seconds(6));
    trainer->Heartbeat();
    trainer->Barrier();
  }
  dispatcher_->RunOnce(clock_.Now());
  trainer->ExpectCancel(lease, "LEASE_LOST");
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
}

TEST_F(TrainerTest, ProgressReachesWatchersAndTheStoreAndBadProgressNeither) {
  v1::RunLease lease;
  auto trainer = Begin("r1", &lease);
  const auto watcher = training_hub_.Subscribe("r1", 8, [] {});
  v1::TrainingProgress bad = ProgressAt(101);
  trainer->Report(lease, bad);
  bad = ProgressAt(1);
  bad.set_phase(std::string(300, 'x'));
  trainer->Report(lease, bad);
  v1::TrainingProgress good = ProgressAt(3);
  good.set_phase("encoding\n12 of 300");
  trainer->Report(lease, good);
  trainer->Barrier();
  v1::TrainingProgress seen;
  ASSERT_TRUE(watcher->TakeProgress(&seen));
  EXPECT_EQ(seen.step(), 3U);
  EXPECT_EQ(seen.phase(), "encoding?12 of 300");
  EXPECT_FALSE(watcher->TakeProgress(&seen));
  EXPECT_EQ(Run("r1").progress().step(), 3U);
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_RUNNING);
  training_hub_.Unsubscribe("r1", watcher);
}

TEST_F(TrainerTest, ADrainingTrainerGetsNoMore) {
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  trainer->Heartbeat(std::nullopt, /*draining=*/true);
  trainer->Barrier();
  EXPECT_EQ(dispatcher_->ListTrainers()[0].state(), v1::WORKER_STATE_DRAINING);
  MakeRun("r1");
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
}

TEST_F(TrainerTest, NothingIsAssignedOnceToldNotTo) {
  dispatcher_->StopAssigning();
  MakeRun("r1");
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  trainer->Barrier();
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Run("r1").state(), v1::TRAINING_STATE_QUEUED);
}

TEST_F(TrainerTest, TrainersAreNoWorkersOfClips) {
  auto trainer = ConnectTrainer();
  trainer->Register("t1");
  EXPECT_TRUE(dispatcher_->ListWorkers().empty());
  ASSERT_EQ(dispatcher_->ListTrainers().size(), 1U);
  EXPECT_EQ(dispatcher_->ListTrainers()[0].device(), "cpu");
  MakeVideo("cat", 1);
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
}

}  // namespace
}  // namespace svi::server
