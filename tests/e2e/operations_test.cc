// What an operator relies on: clean stops, truthful metrics, and a server that needs no LibTorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/cluster.h"

namespace svi::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Operations, TheServerAndTheClientDoNotLinkLibTorch) {
  for (const char* binary : {"svi-server", "svi"}) {
    Process ldd({"/usr/bin/ldd", BinaryPath(binary)});
    EXPECT_EQ(ldd.Wait(), 0);
    EXPECT_THAT(ldd.output(), HasSubstr("libgrpc"));
    EXPECT_THAT(ldd.output(), Not(HasSubstr("torch")));
    EXPECT_THAT(ldd.output(), Not(HasSubstr("libc10")));
  }
}

TEST(Operations, SigtermEndsServerAndIdleWorkerCleanly) {
  Cluster cluster;
  Process& server = cluster.StartServer();
  auto worker = cluster.StartWorker();
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(), 0);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(Operations, ADrainedWorkerFinishesItsClipAndLeavesTheRest) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const std::string name = cluster.Create(Cluster::SmallSpec(2, 60)).name();
  cluster.Watch(name, [](const v1::VideoEvent& e) { return e.progress().stage() == v1::STAGE_DENOISE; });
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(), 0);
  EXPECT_EQ(cluster.Get(name).clips_done(), 1u);
  EXPECT_EQ(cluster.Get(name).state(), v1::VIDEO_STATE_QUEUED);
  auto next = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(name);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(video.clips(1).attempt(), 1u);
}

TEST(Operations, AWorkerThatMayNotWaitHandsItsClipBack) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker({"--drain-timeout=0s"});
  const std::string name = cluster.Create(Cluster::SmallSpec(1, 300)).name();
  cluster.Watch(name, [](const v1::VideoEvent& e) { return e.progress().stage() == v1::STAGE_DENOISE; });
  worker->Signal(SIGTERM);
  EXPECT_EQ(worker->Wait(), 0);
  EXPECT_EQ(cluster.Get(name).clips_done(), 0u);
  auto next = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(name);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(video.clips(0).attempt(), 1u) << "handing back is not a failed attempt";
}

TEST(Operations, MetricsPagesTellWhatHappened) {
  Cluster cluster;
  cluster.StartServer();
  const int worker_metrics = FreePort();
  auto worker = cluster.StartWorker({"--metrics-listen=127.0.0.1:" + std::to_string(worker_metrics)});
  const v1::Video video = cluster.AwaitEnd(cluster.Create(Cluster::SmallSpec(2)).name());
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
  cluster.DownloadAll(video);
  worker->WaitForText("/clips/1 e1: done");  // the watch may know of the commit before the worker does
  const std::string page = HttpGet(cluster.metrics_port(), "/metrics");
  for (const char* text :
       {"grpc_server_handled_total{", "grpc_method=\"CreateVideo\"", "grpc_code=\"OK\"",
        "grpc_server_handling_seconds_bucket{", "svi_queue_depth 0", "svi_videos{state=\"succeeded\"} 1",
        "svi_clip_stage_seconds_count{stage=\"denoise\"} 2", "svi_lease_expiries_total 0",
        "svi_bytes_served_total{"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  const std::string worker_page = HttpGet(worker_metrics, "/metrics");
  for (const char* text : {"svi_worker_info{", "device=\"cpu\"", "model=\"tiny-random\"", "svi_worker_busy 0",
                           "svi_worker_clip_stage_seconds_count{stage=\"denoise\"} 2",
                           "svi_worker_denoise_steps_total 4", "svi_worker_resident_bytes"}) {
    EXPECT_THAT(worker_page, HasSubstr(text));
  }
}

TEST(Operations, TwoServersCannotShareADataFolder) {
  Cluster cluster;
  cluster.StartServer();
  Process second({BinaryPath("svi-server"), "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
                  "--data-dir=" + cluster.dir() + "/data"});
  EXPECT_NE(second.Wait(), 0);
  EXPECT_THAT(second.output(), HasSubstr("data-dir"));
}

TEST(Operations, AWorkerWithoutAModelSaysSo) {
  Process worker({BinaryPath("svi-worker"), "--server=127.0.0.1:1", "--model=/nowhere"});
  EXPECT_NE(worker.Wait(), 0);
  EXPECT_THAT(worker.output(), HasSubstr("model folder does not exist"));
}

}  // namespace
}  // namespace svi::e2e
