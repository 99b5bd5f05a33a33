// Training through the server: runs from the queue to LoRAs that videos use, whoever is killed meanwhile.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "svi/v1/training_service.grpc.pb.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/training_videos.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrainingServiceTest : public testing::Test {
 protected:
  TrainingServiceTest()
      : stub_(v1::TrainingService::NewStub(
            grpc::CreateChannel(cluster_.address(), grpc::InsecureChannelCredentials()))) {
    WriteTrainingVideos(fs::path(cluster_.dir()) / "data" / "set", 4);
  }

  std::unique_ptr<Process> StartTrainer(const std::vector<std::string>& more = {}) {
    std::vector<std::string> flags = {"--mode=training",
                                      absl::StrCat("--train-dir=", cluster_.dir(), "/train"),
                                      absl::StrCat("--train-data=", cluster_.dir(), "/data")};
    flags.insert(flags.end(), more.begin(), more.end());
    return cluster_.StartWorker(flags);
  }

  static v1::TrainingSpec Spec(uint32_t steps) {
    v1::TrainingSpec spec;
    spec.set_dataset("set");
    spec.set_lora_name("squares");
    spec.set_width(64);
    spec.set_height(64);
    spec.set_num_frames(17);
    spec.set_max_steps(steps);
    spec.set_checkpoint_every(std::min(5u, steps));
    spec.set_lora_rank(4);
    return spec;
  }

  v1::TrainingRun Create(const v1::TrainingSpec& spec) {
    grpc::ClientContext context;
    v1::CreateTrainingRunRequest request;
    *request.mutable_spec() = spec;
    request.set_request_id("one");
    v1::TrainingRun run;
    const grpc::Status status = stub_->CreateTrainingRun(&context, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run;
  }
  v1::TrainingRun Get(const std::string& name) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::GetTrainingRunRequest request;
    request.set_name(name);
    v1::TrainingRun run;
    const grpc::Status status = stub_->GetTrainingRun(&context, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run;
  }
  // Reads events until `done` says so or the run has ended, over broken connections.
  std::vector<v1::TrainingEvent> Watch(const std::string& name,
                                       const std::function<bool(const v1::TrainingEvent&)>& done) {
    std::vector<v1::TrainingEvent> durable;
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(120);
    uint64_t after = 0;
    while (std::chrono::system_clock::now() < deadline) {
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      context.set_deadline(deadline);
      v1::WatchTrainingRunRequest request;
      request.set_name(name);
      request.set_after_sequence(after);
      const auto reader = stub_->WatchTrainingRun(&context, request);
      v1::TrainingEvent event;
      while (reader->Read(&event)) {
        if (event.sequence() > 0) {
          EXPECT_EQ(event.sequence(), after + 1) << "a gap or a repeat";
          after = event.sequence();
          durable.push_back(event);
        }
        if (done(event)) {
          context.TryCancel();
          return durable;
        }
      }
      const grpc::Status status = reader->Finish();
      if (status.ok()) return durable;
      if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
        ADD_FAILURE() << status.error_message();
        return durable;
      }
    }
    ADD_FAILURE() << "the run did not get there in time";
    return durable;
  }
  static bool Never(const v1::TrainingEvent&) { return false; }
  static std::function<bool(const v1::TrainingEvent&)> AtStep(uint32_t step) {
    return [step](const v1::TrainingEvent& event) {
      return event.has_progress() && event.progress().step() >= step;
    };
  }

  Cluster cluster_;
  const std::unique_ptr<v1::TrainingService::Stub> stub_;
};

TEST_F(TrainingServiceTest, ALoraIsPublishedAndAVideoUsesItWithoutARestart) {
  cluster_.StartServer();
  const auto worker = cluster_.StartWorker();
  const v1::Video before = cluster_.AwaitEnd(cluster_.Create(Cluster::SmallSpec(1)).name());
  const auto trainer = StartTrainer();

  const v1::TrainingRun run = Create(Spec(8));
  EXPECT_EQ(Create(Spec(8)).name(), run.name()) << "a replayed request makes a second run";
  const std::vector<v1::TrainingEvent> events = Watch(run.name(), Never);
  const v1::TrainingRun ended = Get(run.name());
  ASSERT_EQ(ended.state(), v1::TRAINING_STATE_SUCCEEDED) << ended.DebugString();
  EXPECT_EQ(ended.lora(), "loras/squares");
  EXPECT_EQ(ended.progress().step(), 8u);
  EXPECT_EQ(ended.progress().videos(), 4u);
  EXPECT_GT(ended.progress().samples(), 0u);
  int published = 0;
  for (const v1::TrainingEvent& event : events) published += event.has_published();
  EXPECT_EQ(published, 1);

  v1::VideoSpec spec = Cluster::SmallSpec(1);
  spec.add_lora()->set_name("squares");
  spec.mutable_lora(0)->set_strength(4);
  const v1::Video with = cluster_.AwaitEnd(cluster_.Create(spec).name());
  ASSERT_EQ(with.state(), v1::VIDEO_STATE_SUCCEEDED) << with.DebugString();
  EXPECT_NE(cluster_.DownloadAll(with), cluster_.DownloadAll(before)) << "the LoRA changes nothing";

  EXPECT_THAT(HttpGet(cluster_.metrics_port(), "/metrics"), HasSubstr("svi_loras 1"));
}

TEST_F(TrainingServiceTest, ARunOutlivesItsServer) {
  cluster_.StartServer();
  const auto trainer = StartTrainer();
  const v1::TrainingRun run = Create(Spec(300));
  Watch(run.name(), AtStep(10));
  cluster_.KillServer();
  cluster_.StartServer();
  Watch(run.name(), Never);
  const v1::TrainingRun ended = Get(run.name());
  ASSERT_EQ(ended.state(), v1::TRAINING_STATE_SUCCEEDED) << ended.DebugString();
  EXPECT_EQ(ended.attempt(), 1u);
  EXPECT_THAT(trainer->output(), testing::Not(HasSubstr("continuing from the checkpoint")));
}

TEST_F(TrainingServiceTest, AKilledTrainersRunGoesOnFromItsCheckpointElsewhere) {
  cluster_.StartServer();
  auto trainer = StartTrainer();
  const v1::TrainingRun run = Create(Spec(300));
  Watch(run.name(), AtStep(12));
  trainer->Signal(SIGKILL);
  trainer->Wait();
  const auto next = StartTrainer();
  next->WaitForText("continuing from the checkpoint of step");
  Watch(run.name(), Never);
  const v1::TrainingRun ended = Get(run.name());
  ASSERT_EQ(ended.state(), v1::TRAINING_STATE_SUCCEEDED) << ended.DebugString();
  EXPECT_EQ(ended.attempt(), 2u);
}

TEST_F(TrainingServiceTest, SigtermHandsTheRunBackWithACheckpoint) {
  cluster_.StartServer();
  auto trainer = StartTrainer();
  const v1::TrainingRun run = Create(Spec(400));
  Watch(run.name(), AtStep(7));
  trainer->Signal(SIGTERM);
  EXPECT_EQ(trainer->Wait(), 0) << trainer->output();
  EXPECT_EQ(Get(run.name()).state(), v1::TRAINING_STATE_QUEUED);
  const auto next = StartTrainer();
  Watch(run.name(), Never);
  EXPECT_EQ(Get(run.name()).state(), v1::TRAINING_STATE_SUCCEEDED);
  EXPECT_THAT(next->output(), HasSubstr("continuing from the checkpoint of step"));
}

TEST_F(TrainingServiceTest, CancellingStopsTheTrainerWhichTakesTheNextRun) {
  cluster_.StartServer();
  const auto trainer = StartTrainer();
  const v1::TrainingRun run = Create(Spec(100000));
  Watch(run.name(), AtStep(3));
  {
    grpc::ClientContext context;
    v1::CancelTrainingRunRequest request;
    request.set_name(run.name());
    v1::TrainingRun cancelled;
    ASSERT_TRUE(stub_->CancelTrainingRun(&context, request, &cancelled).ok());
    EXPECT_EQ(cancelled.state(), v1::TRAINING_STATE_CANCELLED);
  }
  grpc::ClientContext context;
  v1::CreateTrainingRunRequest request;
  *request.mutable_spec() = Spec(2);
  v1::TrainingRun next;
  ASSERT_TRUE(stub_->CreateTrainingRun(&context, request, &next).ok());
  Watch(next.name(), Never);
  EXPECT_EQ(Get(next.name()).state(), v1::TRAINING_STATE_SUCCEEDED);
}

TEST_F(TrainingServiceTest, WhatCannotBeTrainedFailsWithATrueReason) {
  cluster_.StartServer();
  const auto trainer = StartTrainer();
  v1::TrainingSpec spec = Spec(2);
  spec.set_dataset("no-such-set");
  const v1::TrainingRun run = Create(spec);
  Watch(run.name(), Never);
  v1::TrainingRun ended = Get(run.name());
  EXPECT_EQ(ended.state(), v1::TRAINING_STATE_FAILED);
  EXPECT_EQ(ended.attempt(), 1u) << "it is tried again in vain";
  EXPECT_THAT(ended.error().message(), testing::Not(HasSubstr(cluster_.dir()))) << "a path leaks out";

  grpc::ClientContext context;
  v1::CreateTrainingRunRequest request;
  *request.mutable_spec() = Spec(2);
  request.mutable_spec()->set_dataset("../outside");
  v1::TrainingRun outside;
  ASSERT_TRUE(stub_->CreateTrainingRun(&context, request, &outside).ok());
  Watch(outside.name(), Never);
  ended = Get(outside.name());
  EXPECT_EQ(ended.state(), v1::TRAINING_STATE_FAILED);
  EXPECT_THAT(ended.error().message(), HasSubstr("dataset"));
}

}  // namespace
}  // namespace svi::e2e
