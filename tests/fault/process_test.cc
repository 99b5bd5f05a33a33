// Processes are killed in the middle of their work; the video comes out as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/cluster.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;
using e2e::UndisturbedRun;

TEST(Fault, AKilledWorkersClipIsFinishedByAnother) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  Cluster cluster;
  cluster.StartServer();
  auto first = cluster.StartWorker();
  const std::string name = cluster.Create(spec).name();
  cluster.Watch(name, InTheMiddleOf(1));
  first->Signal(SIGKILL);
  auto second = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  ASSERT_EQ(video.clips_size(), 3);
  EXPECT_EQ(video.clips(0).attempt(), 1u);
  EXPECT_EQ(video.clips(1).attempt(), 2u) << "the kill came too late to matter";
  EXPECT_NE(video.clips(0).worker(), video.clips(2).worker());
  EXPECT_EQ(cluster.DownloadAll(video), undisturbed);
}

TEST(Fault, AKilledServerGoesOnWhereItWas) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const std::string name = cluster.Create(spec).name();
  cluster.Watch(name, InTheMiddleOf(1));
  cluster.KillServer();
  cluster.StartServer();
  const v1::Video video = cluster.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_EQ(cluster.DownloadAll(video), undisturbed);
}

TEST(Fault, ServerAndWorkerKilledTogether) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const std::string name = cluster.Create(spec).name();
  cluster.Watch(name, InTheMiddleOf(1));
  worker->Signal(SIGKILL);
  cluster.KillServer();
  cluster.StartServer();
  auto other = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_EQ(cluster.DownloadAll(video), undisturbed);
}

TEST(Fault, AFrozenWorkerLosesItsLeaseAndIsRefusedWhenItWakes) {
  Cluster cluster;
  cluster.StartServer();
  auto frozen = cluster.StartWorker();
  const std::string name = cluster.Create(Cluster::SmallSpec(2, kSteps)).name();
  cluster.Watch(name, InTheMiddleOf(0));
  frozen->Signal(SIGSTOP);
  auto other = cluster.StartWorker();
  cluster.Watch(name,
                [](const v1::VideoEvent& e) { return e.has_clip_done() && e.clip_done().index() == 0; });
  frozen->Signal(SIGCONT);
  const v1::Video video = cluster.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_EQ(video.clips_size(), 2);
  EXPECT_EQ(video.clips(0).attempt(), 2u);
}

TEST(Fault, RetriesAreBoundedAndTheReasonIsTold) {
  Cluster cluster;
  cluster.StartServer({"--max-attempts=1"});
  auto worker = cluster.StartWorker();
  const std::string name = cluster.Create(Cluster::SmallSpec(2, kSteps)).name();
  cluster.Watch(name, InTheMiddleOf(1));
  worker->Signal(SIGKILL);
  const v1::Video video = cluster.AwaitEnd(name);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(video.error().reason(), "LEASE_EXPIRED");
  EXPECT_FALSE(video.error().message().empty());
  ASSERT_EQ(video.clips_size(), 1) << "the clip that was made stays";
  cluster.Download(video.clips(0));
}

TEST(Fault, CancelStopsTheGpuAtTheNextStep) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  // Undisturbed this would take minutes.
  const std::string name = cluster.Create(Cluster::SmallSpec(2, 1000)).name();
  cluster.Watch(name, [](const v1::VideoEvent& e) { return e.progress().stage() == v1::STAGE_DENOISE; });
  grpc::ClientContext context;
  v1::CancelVideoRequest request;
  request.set_name(name);
  v1::Video video;
  ASSERT_TRUE(cluster.stub().CancelVideo(&context, request, &video).ok());
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_CANCELLED);
  // The worker is free for the next video at once.
  const v1::Video next = cluster.AwaitEnd(cluster.Create(Cluster::SmallSpec(1)).name());
  EXPECT_EQ(next.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(cluster.Get(name).clips_size(), 0);
}

}  // namespace
}  // namespace svi::fault
