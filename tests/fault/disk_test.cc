// The server's disk is full: clips wait without having failed, callers are told why, and all goes on once
// there is space again.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "tests/e2e/cluster.h"
#include "tests/fault/middle.h"
#include "tests/fault/small_disk.h"

namespace svi::fault {
namespace {

using e2e::Cluster;

constexpr int kMegabytes = 16;

class FullDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (!SmallDisk::Unavailable().empty())
      GTEST_SKIP() << "no small disks here: " << SmallDisk::Unavailable();
    disk_ = std::make_unique<SmallDisk>(data_dir(), kMegabytes);
  }
  void TearDown() override {
    cluster_.KillServer();
    disk_.reset();
  }
  std::string data_dir() const { return cluster_.dir() + "/data"; }

  grpc::Status TryCreate(const v1::VideoSpec& spec) {
    grpc::ClientContext context;
    v1::CreateVideoRequest request;
    *request.mutable_spec() = spec;
    v1::Video video;
    return cluster_.stub().CreateVideo(&context, request, &video);
  }
  void CheckUndisturbed(const std::string& name, const v1::VideoSpec& spec) {
    const v1::Video video = cluster_.AwaitEnd(name);
    ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    for (const v1::Clip& clip : video.clips())
      EXPECT_EQ(clip.attempt(), 1u) << "a full disk is not its fault";
    EXPECT_EQ(cluster_.DownloadAll(video), e2e::UndisturbedRun(spec));
  }

  Cluster cluster_;
  std::unique_ptr<SmallDisk> disk_;
};

TEST_F(FullDisk, NothingIsLostWhenNeitherClipsNorTheDatabaseCanGrow) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  e2e::Process& server = cluster_.StartServer();
  auto worker = cluster_.StartWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(1));
  disk_->Fill();
  server.WaitForText("the artifact storage fails: no clip is leased");
  const grpc::Status refused = TryCreate(spec);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.error_message();
  EXPECT_EQ(cluster_.Get(name).clips_done(), 1u) << "what is there can be read";
  disk_->Free();
  CheckUndisturbed(name, spec);
}

TEST_F(FullDisk, NothingIsLostWhenTheDatabaseAloneCannotGrow) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  // Artifacts are on another disk.
  const std::string elsewhere = cluster_.dir() + "/elsewhere";
  std::filesystem::create_directories(elsewhere);
  std::filesystem::create_directory_symlink(elsewhere, data_dir() + "/artifacts");
  e2e::Process& server = cluster_.StartServer();
  auto worker = cluster_.StartWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(1));
  disk_->Fill();
  server.WaitForText("not committed yet, will be tried again");
  const grpc::Status refused = TryCreate(spec);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.error_message();
  disk_->Free();
  CheckUndisturbed(name, spec);
}

}  // namespace
}  // namespace svi::fault
