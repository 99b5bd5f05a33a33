// A training run through the whole server, over a restart of it, up to a video that names the LoRA.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/sha256.h"
#include "server/server.h"
#include "svi/v1/training_service.grpc.pb.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "tests/server/lease/trainer_fixture.h"

namespace svi::server {
namespace {

std::string SmallPicture() {
  std::ifstream in(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/rgb.png", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class ServerTrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/svi-server-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    options_.data_dir = dir_ + "/data";
    options_.listen = "127.0.0.1:0";
    options_.metrics_listen = "127.0.0.1:0";
    // Nothing here waits for it, however busy the machine is.
    options_.lease_timeout = absl::Minutes(10);
    StartServer();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  void StartServer() {
    auto server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    training_ = v1::TrainingService::NewStub(channel_);
  }

  v1::TrainingRun CreateRun(const std::string& lora_name) {
    v1::CreateTrainingRunRequest request;
    request.mutable_spec()->set_dataset("scenes");
    request.mutable_spec()->set_max_steps(100);
    request.mutable_spec()->set_lora_name(lora_name);
    grpc::ClientContext context;
    v1::TrainingRun run;
    const auto status = training_->CreateTrainingRun(&context, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run;
  }

  std::string dir_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingService::Stub> training_;
};

TEST_F(ServerTrainingTest, ARunOutlivesTheServerAndItsLoraIsUsedAtOnce) {
  auto trainer = std::make_unique<ScriptedTrainer>(channel_);
  trainer->Register("t1");
  const v1::TrainingRun run = CreateRun("ink");
  const v1::RunLease lease = trainer->TakeRun().lease();
  EXPECT_EQ(lease.training_run(), run.name());
  trainer->Report(lease, ProgressAt(5));
  trainer->Barrier();
  server_->Shutdown(absl::Minutes(1));  // does not wait for the run
  EXPECT_TRUE(IsCutOff(trainer->End(), grpc::StatusCode::UNAVAILABLE));
  server_.reset();
  StartServer();

  auto again = std::make_unique<ScriptedTrainer>(channel_);
  EXPECT_TRUE(again->Register("t1", lease).resume());
  again->Upload(lease, "lora");
  again->ExpectAccepted(lease);

  grpc::ClientContext download_context;
  v1::DownloadLoraRequest download;
  download.set_name("loras/ink");
  auto reader = training_->DownloadLora(&download_context, download);
  v1::DownloadLoraResponse piece;
  ASSERT_TRUE(reader->Read(&piece));
  EXPECT_EQ(piece.data(), "lora");
  EXPECT_EQ(piece.sha256(), Sha256::Of("lora"));

  ScriptedWorker worker(channel_);
  worker.Register("w1");
  v1::CreateVideoRequest request;
  request.mutable_spec()->set_image(SmallPicture());
  request.mutable_spec()->add_prompts("a cat");
  request.mutable_spec()->add_lora()->set_name("ink");
  grpc::ClientContext create_context;
  v1::Video video;
  const auto created = v1::VideoService::NewStub(channel_)->CreateVideo(&create_context, request, &video);
  ASSERT_TRUE(created.ok()) << created.error_message();
  const v1::Assign assign = worker.TakeJob().assign;
  ASSERT_EQ(assign.published_loras_size(), 1);
  EXPECT_EQ(assign.published_loras(0).training_run(), run.name());
}

TEST_F(ServerTrainingTest, CancellingReachesTheTrainer) {
  auto trainer = std::make_unique<ScriptedTrainer>(channel_);
  trainer->Register("t1");
  const v1::TrainingRun run = CreateRun("");
  const v1::RunLease lease = trainer->TakeRun().lease();
  grpc::ClientContext context;
  v1::CancelTrainingRunRequest request;
  request.set_name(run.name());
  v1::TrainingRun cancelled;
  ASSERT_TRUE(training_->CancelTrainingRun(&context, request, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), v1::TRAINING_STATE_CANCELLED);
  trainer->ExpectCancel(lease, "RUN_CANCELLED");
}

}  // namespace
}  // namespace svi::server
