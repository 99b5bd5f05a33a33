// A worker in training mode, between a fake server and a fake trainer.
#include "worker/agent/training_agent.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/temp_dir.h"
#include "tests/worker/agent/fake_trainer.h"
#include "tests/worker/agent/fake_training_server.h"

namespace svi::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

bool Free(const v1::TrainerHeartbeat& heartbeat) { return !heartbeat.has_lease(); }
bool Draining(const v1::TrainerHeartbeat& heartbeat) { return heartbeat.draining(); }

v1::TrainerRegistered Resume(uint64_t lora_bytes) {
  v1::TrainerRegistered registered;
  registered.set_resume(true);
  registered.set_lora_bytes_received(lora_bytes);
  return registered;
}

class TrainingAgentTest : public ::testing::Test {
 protected:
  void Start(absl::Duration drain_timeout = absl::Hours(1)) {
    ConnectionOptions options;
    options.endpoint.server = server_.address();
    options.worker_id = "trainer-1";
    options.version = "1.2.3";
    options.min_backoff = absl::Milliseconds(1);
    options.max_backoff = absl::Milliseconds(20);
    options.drain_timeout = drain_timeout;
    agent_ = std::make_unique<TrainingAgent>(&trainer_, &metrics_, options);
    thread_ = std::thread([this] { agent_->Run(); });
  }
  void Join() { thread_.join(); }
  void TearDown() override {
    trainer_.Proceed();
    if (thread_.joinable()) {
      agent_->HandBack();
      thread_.join();
    }
    agent_.reset();
  }
  // Returns when the agent has handled all that was sent before: it answers a lease that it cannot take.
  void Sync() {
    server_.Assign(MakeRunLease("../probe"), 1);
    EXPECT_EQ(server_.Next().failed().lease().training_run(), "trainingRuns/../probe");
  }
  std::string Metrics() { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  const TempDir dir_;
  FakeTrainer trainer_{dir_.path()};
  prometheus::Registry registry_;
  ConnectionMetrics metrics_{registry_, {"cpu", "fake", "1.2.3"}, "svi_worker_training_runs_total"};
  FakeTrainingServer server_;
  std::unique_ptr<TrainingAgent> agent_;
  std::thread thread_;
};

TEST_F(TrainingAgentTest, RegistersWithWhatItIs) {
  Start();
  const v1::TrainerRegister hello = server_.Accept();
  EXPECT_EQ(hello.worker_id(), "trainer-1");
  EXPECT_EQ(hello.version(), "1.2.3");
  EXPECT_EQ(hello.device(), "cpu");
  EXPECT_EQ(hello.model(), "fake");
  EXPECT_EQ(hello.ranks(), 2u);
  EXPECT_FALSE(hello.has_holding());
  EXPECT_FALSE(server_.NextHeartbeat(Free).draining());
}

TEST_F(TrainingAgentTest, TrainsARunAndHandsTheLoraOver) {
  trainer_.set_lora_bytes(2'500'000);  // three chunks
  Start();
  server_.Accept();
  const v1::RunLease lease = MakeRunLease("r");
  server_.Assign(lease, 3);
  const LoraUpload upload = ReceiveLora(server_);
  EXPECT_EQ(upload.lora, FakeLora("r", 2'500'000));
  EXPECT_EQ(upload.done.lease().training_run(), "trainingRuns/r");
  EXPECT_EQ(upload.done.rank(), 16u);
  EXPECT_EQ(upload.done.progress().step(), 3u);
  EXPECT_THAT(trainer_.forgotten(), IsEmpty()) << "not committed yet";
  server_.Accepted(lease);
  trainer_.WaitForgotten("r");
  Sync();
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_training_runs_total{outcome=\"done\"} 1"));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_busy 0"));
  server_.Assign(MakeRunLease("next"), 1);
  EXPECT_EQ(ReceiveLora(server_).done.lease().training_run(), "trainingRuns/next");
}

TEST_F(TrainingAgentTest, FullFineTuningUploadsNothing) {
  trainer_.set_lora_bytes(0);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r"), 2);
  const v1::TrainingDone done = server_.Next().done();
  EXPECT_EQ(done.lora_bytes(), 0u);
  EXPECT_EQ(done.lora_sha256(), "");
  EXPECT_EQ(done.progress().step(), 2u);
}

TEST_F(TrainingAgentTest, ForwardsProgress) {
  trainer_.StopBefore(2);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 4), 5);
  const auto second = server_.NextProgress([](const v1::TrainingProgress& p) { return p.step() == 2; });
  EXPECT_EQ(second.max_steps(), 5u);
  EXPECT_EQ(second.loss(), 0.5);
}

TEST_F(TrainingAgentTest, TrainsOnWhileDisconnectedAndThenTellsOfTheNewestStep) {
  trainer_.StopBefore(2);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 9), 50);
  trainer_.WaitStopped();
  server_.Break();
  const v1::TrainerRegister hello = server_.AwaitRegister();
  EXPECT_EQ(hello.holding().training_run(), "trainingRuns/r");
  EXPECT_EQ(hello.holding().epoch(), 9u);
  trainer_.StopBefore(40);  // goes on to there, without a server
  trainer_.WaitStopped();
  server_.Answer(Resume(0));
  server_.NextProgress([](const v1::TrainingProgress& p) { return p.step() == 40; });
  trainer_.Proceed();
  EXPECT_EQ(ReceiveLora(server_).done.lease().epoch(), 9u);
  EXPECT_THAT(trainer_.starts(), ElementsAre(0));
}

TEST_F(TrainingAgentTest, AServerRestartCostsNothing) {
  trainer_.StopBefore(2);
  Start();
  server_.Accept();
  const v1::RunLease lease = MakeRunLease("r", 3);
  server_.Assign(lease, 4);
  trainer_.WaitStopped();
  server_.Restart();
  EXPECT_EQ(server_.Accept(Resume(0)).holding().epoch(), 3u);
  // The new server is told where the run stands, without a step being made.
  server_.NextProgress([](const v1::TrainingProgress& p) { return p.step() == 2; });
  trainer_.Proceed();
  const LoraUpload whole = ReceiveLora(server_);
  server_.Restart();  // and with the LoRA on its way
  server_.Accept(Resume(whole.lora.size()));
  EXPECT_TRUE(server_.Next().has_done());
  server_.Accepted(lease);
  trainer_.WaitForgotten("r");
  EXPECT_THAT(trainer_.starts(), ElementsAre(0));
}

TEST_F(TrainingAgentTest, TheUploadGoesOnWhereTheServerSays) {
  trainer_.set_lora_bytes(3'000'000);
  Start();
  server_.Accept();
  const v1::RunLease lease = MakeRunLease("r");
  server_.Assign(lease, 1);
  const LoraUpload whole = ReceiveLora(server_);
  server_.Break();
  server_.Accept(Resume(1 << 20));
  EXPECT_EQ(ReceiveLora(server_, whole.lora.substr(0, 1 << 20)).lora, whole.lora);
  server_.Break();
  server_.Accept(Resume(0));  // it has lost it
  EXPECT_EQ(ReceiveLora(server_).lora, whole.lora);
  server_.Break();
  server_.Accept(Resume(whole.lora.size() + 1));  // it has what cannot be ours
  EXPECT_EQ(ReceiveLora(server_).lora, whole.lora);
  server_.Accepted(lease);
  Sync();
  server_.Break();
  EXPECT_FALSE(server_.Accept().has_holding());
}

TEST_F(TrainingAgentTest, ALeaseThatIsLostStopsWithACheckpointThatItsNextAttemptGoesOnFrom) {
  trainer_.StopBefore(3);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 1), 5);
  trainer_.WaitStopped();
  server_.Break();
  EXPECT_TRUE(server_.Accept().has_holding());
  // It may come back before the old one has stopped.
  server_.Assign(MakeRunLease("r", 2), 5);
  server_.NextHeartbeat([](const v1::TrainerHeartbeat& h) { return h.lease().epoch() == 2; });
  trainer_.Proceed();
  EXPECT_EQ(ReceiveLora(server_).done.lease().epoch(), 2u);
  EXPECT_THAT(trainer_.starts(), ElementsAre(0, 3));
  EXPECT_THAT(trainer_.outcomes(), ElementsAre(absl::StatusCode::kCancelled, absl::StatusCode::kOk));
  EXPECT_THAT(trainer_.forgotten(), IsEmpty());
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_training_runs_total{outcome=\"lost\"} 1"));
}

TEST_F(TrainingAgentTest, CancelStopsAtTheNextStepAndForgets) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  const v1::RunLease lease = MakeRunLease("r");
  server_.Assign(lease, 5);
  trainer_.WaitStopped();
  server_.Cancel(lease, "RUN_CANCELLED");
  Sync();
  EXPECT_THAT(trainer_.forgotten(), IsEmpty()) << "it still trains";
  trainer_.Proceed();
  server_.NextHeartbeat(Free);
  trainer_.WaitForgotten("r");
  EXPECT_THAT(trainer_.outcomes(), ElementsAre(absl::StatusCode::kCancelled));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_training_runs_total{outcome=\"cancelled\"} 1"));
}

TEST_F(TrainingAgentTest, WhatIsCancelledForAnotherReasonIsKept) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  const v1::RunLease lease = MakeRunLease("r");
  server_.Assign(lease, 5);
  trainer_.WaitStopped();
  server_.Cancel(lease, "LEASE_LOST");
  Sync();
  trainer_.Proceed();
  server_.Assign(MakeRunLease("r", 2), 5);
  ReceiveLora(server_);
  EXPECT_THAT(trainer_.starts(), ElementsAre(0, 1));
  EXPECT_THAT(trainer_.forgotten(), IsEmpty());
}

TEST_F(TrainingAgentTest, CancelOfAStaleEpochChangesNothing) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 5), 2);
  trainer_.WaitStopped();
  server_.Cancel(MakeRunLease("r", 4), "LEASE_LOST");
  Sync();
  trainer_.Proceed();
  EXPECT_EQ(ReceiveLora(server_).done.lease().epoch(), 5u);
}

TEST_F(TrainingAgentTest, ASecondLeaseIsHandedBack) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r"), 2);
  trainer_.WaitStopped();
  server_.Assign(MakeRunLease("s"), 2);
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_EQ(failed.lease().training_run(), "trainingRuns/s");
  EXPECT_TRUE(failed.handed_back());
}

TEST_F(TrainingAgentTest, FailuresAreToldInTheWordsOfTheApi) {
  Start();
  server_.Accept();
  const struct {
    absl::Status status;
    const char* reason;
    bool permanent, told;
  } kCases[] = {
      {absl::InvalidArgumentError("width: too small"), "INVALID_REQUEST", true, true},
      {absl::NotFoundError("there is no data set \"boats\""), "DATASET_NOT_FOUND", true, true},
      {absl::ResourceExhaustedError("at /secret/path"), "OUT_OF_MEMORY", false, false},
      {absl::DataLossError("/secret/checkpoint is damaged"), "INPUT_CORRUPT", false, false},
      {absl::InternalError("at /secret/path"), "WORKER_INTERNAL", false, false},
      // It was not told to stop.
      {absl::CancelledError("at /secret/path"), "WORKER_INTERNAL", false, false},
  };
  uint64_t epoch = 0;
  for (const auto& c : kCases) {
    trainer_.FailNext(c.status);
    server_.Assign(MakeRunLease("r", ++epoch), 2);
    const v1::TrainingFailed failed = server_.Next().failed();
    EXPECT_EQ(failed.lease().epoch(), epoch);
    EXPECT_EQ(failed.error().reason(), c.reason);
    EXPECT_EQ(failed.permanent(), c.permanent) << c.reason;
    EXPECT_FALSE(failed.handed_back());
    EXPECT_EQ(failed.error().message() == c.status.message(), c.told) << failed.error().message();
    EXPECT_THAT(failed.error().message(), Not(HasSubstr("secret")));
  }
}

TEST_F(TrainingAgentTest, ALoraThatIsNotThereIsAFailureOfTheWorkers) {
  std::filesystem::create_directory(trainer_.lora_path("r"));  // nothing can be written to it, nor read
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r"), 1);
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_EQ(failed.error().reason(), "WORKER_INTERNAL");
  EXPECT_FALSE(failed.permanent());
}

TEST_F(TrainingAgentTest, AFailureIsToldAfterTheReconnect) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 6), 2);
  trainer_.WaitStopped();
  trainer_.FailNext(absl::InternalError("broken"));
  server_.Break();
  EXPECT_TRUE(server_.AwaitRegister().has_holding());
  trainer_.Proceed();
  server_.Answer(Resume(0));
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_EQ(failed.error().reason(), "WORKER_INTERNAL");
  EXPECT_EQ(failed.lease().epoch(), 6u);
}

TEST_F(TrainingAgentTest, AnIdleTrainerStopsAtOnce) {
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  Join();
}

TEST_F(TrainingAgentTest, DrainHandsTheRunBackWithACheckpoint) {
  trainer_.StopBefore(2);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r", 3), 5);
  trainer_.WaitStopped();
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  trainer_.Proceed();
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_TRUE(failed.handed_back());
  EXPECT_FALSE(failed.permanent());
  EXPECT_EQ(failed.lease().epoch(), 3u);
  Join();
  EXPECT_FALSE(agent_->engine_busy());
  EXPECT_THAT(trainer_.outcomes(), ElementsAre(absl::StatusCode::kCancelled));
  EXPECT_THAT(trainer_.forgotten(), IsEmpty());
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_training_runs_total{outcome=\"handed_back\"} 1"));
}

TEST_F(TrainingAgentTest, TheServerCanDrainIt) {
  trainer_.StopBefore(2);
  Start();
  server_.Accept();
  server_.Assign(MakeRunLease("r"), 5);
  trainer_.WaitStopped();
  v1::TrainerOrder order;
  order.mutable_drain();
  server_.Send(order);
  server_.NextHeartbeat(Draining);
  trainer_.Proceed();
  EXPECT_TRUE(server_.Next().failed().handed_back());
  Join();
}

TEST_F(TrainingAgentTest, DrainFinishesAnUpload) {
  Start();
  server_.Accept();
  const v1::RunLease lease = MakeRunLease("r");
  server_.Assign(lease, 1);
  ReceiveLora(server_);
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  server_.Accepted(lease);
  Join();
  trainer_.WaitForgotten("r");
}

TEST_F(TrainingAgentTest, ARunThatWaitsForTheBackendIsHandedBackAtOnce) {
  trainer_.StopBefore(1);
  Start();
  server_.Accept();
  const v1::RunLease first = MakeRunLease("r");
  server_.Assign(first, 5);
  trainer_.WaitStopped();
  server_.Cancel(first, "LEASE_LOST");
  server_.Assign(MakeRunLease("s"), 5);  // the backend still works on r
  server_.NextHeartbeat(
      [](const v1::TrainerHeartbeat& h) { return h.lease().training_run() == "trainingRuns/s"; });
  agent_->Drain();
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_EQ(failed.lease().training_run(), "trainingRuns/s");
  EXPECT_TRUE(failed.handed_back());
  trainer_.Proceed();
  Join();
  EXPECT_FALSE(agent_->engine_busy()) << "r's checkpoint was waited for";
}

TEST_F(TrainingAgentTest, TheDrainTimeoutHandsBack) {
  trainer_.StopBefore(2);
  Start(/*drain_timeout=*/absl::ZeroDuration());
  server_.Accept();
  server_.Assign(MakeRunLease("r", 3), 5);
  trainer_.WaitStopped();
  agent_->Drain();
  const v1::TrainingFailed failed = server_.Next().failed();
  EXPECT_TRUE(failed.handed_back());
  EXPECT_EQ(failed.lease().epoch(), 3u);
  Join();
  EXPECT_TRUE(agent_->engine_busy());  // still before its step; the process would end here
}

TEST_F(TrainingAgentTest, ATrainerWithoutAServerStops) {
  Start();
  agent_->Drain();
  Join();
}

}  // namespace
}  // namespace svi::worker
