// Two servers on one PostgreSQL and one artifact store: what is begun at one goes on at the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/conformance/postgres_server.h"
#include "tests/conformance/s3_server.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/tiny_lora.h"

namespace svi::e2e {
namespace {

// Enough steps that a process can be killed between the first and the last of them.
constexpr int kSteps = 60;
constexpr absl::Duration kPatience = absl::Seconds(150);

// True at the first denoising progress of the clip that leaves most of it to do.
auto InTheMiddleOf(uint32_t clip) {
  return [clip](const v1::VideoEvent& event) {
    const v1::Progress& p = event.progress();
    return event.has_progress() && p.clip_index() == clip && p.stage() == v1::STAGE_DENOISE &&
           p.step() >= 1 && p.step() < kSteps / 2;
  };
}

class SeveralServers : public testing::Test {
 protected:
  SeveralServers() {
    Start(a_);
    Start(b_);
  }

  void Start(Cluster& cluster) {
    cluster.StartServer({"--database=" + database_, "--artifacts=s3://" + std::string(S3Server::kBucket),
                         "--s3-endpoint=" + s3_.endpoint(), "--s3-credentials=" + s3_.credentials_file()});
  }
  // Knows both servers, and stays with the first that answers.
  std::unique_ptr<Process> StartWorker(const Cluster& first, const Cluster& second) {
    return a_.StartWorker({"--server=ipv4:" + first.address() + "," + second.address()});
  }
  static v1::Video Finish(Cluster& cluster, const std::string& name) {
    const v1::Video video = cluster.AwaitEnd(name);
    EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    return video;
  }

  PostgresServer postgres_;
  const std::string database_ = postgres_.MakeDatabase();
  S3Server s3_;
  Cluster a_;
  Cluster b_;
};

TEST_F(SeveralServers, CreatedAtOneMadeAtAnotherWatchedAtBoth) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  auto worker = StartWorker(b_, a_);
  const std::string name = a_.Create(spec).name();
  // The worker's progress crosses to the server that it is not connected to.
  a_.Watch(name, InTheMiddleOf(1));
  const auto all = [](const v1::VideoEvent&) { return false; };
  const auto at_a = a_.Watch(name, all);
  const auto at_b = b_.Watch(name, all);
  ASSERT_EQ(at_a.size(), at_b.size());
  for (size_t i = 0; i < at_a.size(); ++i) EXPECT_EQ(at_a[i].sequence(), at_b[i].sequence());
  EXPECT_EQ(a_.DownloadAll(Finish(a_, name)), undisturbed);
  EXPECT_EQ(b_.DownloadAll(b_.Get(name)), undisturbed);
}

TEST_F(SeveralServers, AKilledServersWorkerGoesOnAtTheOther) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  auto worker = StartWorker(a_, b_);
  const std::string name = b_.Create(spec).name();
  const auto before = b_.Watch(name, InTheMiddleOf(1));
  a_.KillServer();
  // The watch at the server that is left has neither gap nor repeat (Watch checks that), and the worker
  // brings its clip along.
  const v1::Video video = Finish(b_, name);
  ASSERT_EQ(video.clips_size(), 3);
  for (const v1::Clip& clip : video.clips()) EXPECT_EQ(clip.attempt(), 1u);
  EXPECT_EQ(b_.DownloadAll(video), undisturbed);
}

TEST_F(SeveralServers, AWatchGoesOnAtTheOtherServerWhereItWas) {
  auto worker = StartWorker(b_, a_);
  const std::string name = a_.Create(Cluster::SmallSpec(3, kSteps)).name();
  const auto at_a = a_.Watch(name, InTheMiddleOf(1));
  ASSERT_FALSE(at_a.empty());
  a_.KillServer();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  v1::WatchVideoRequest request;
  request.set_name(name);
  request.set_after_sequence(at_a.back().sequence());
  request.set_durable_only(true);
  auto stream = b_.stub().WatchVideo(&context, request);
  uint64_t last = at_a.back().sequence();
  for (v1::VideoEvent event; stream->Read(&event);) EXPECT_EQ(event.sequence(), ++last);
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Finish(b_, name).last_sequence(), last);
}

TEST_F(SeveralServers, BothKilledTheThirdTakesOver) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  auto worker = StartWorker(a_, b_);
  const std::string name = a_.Create(spec).name();
  a_.Watch(name, InTheMiddleOf(0));
  worker->Signal(SIGKILL);
  a_.KillServer();
  b_.KillServer();
  // It has never heard of the others; their lease is found once they are known to be gone.
  Cluster c;
  Start(c);
  auto other = c.StartWorker();
  const v1::Video video = Finish(c, name);
  EXPECT_EQ(c.DownloadAll(video), undisturbed);
}

TEST_F(SeveralServers, ACancelReachesTheWorkerOfAnotherServer) {
  auto worker = StartWorker(b_, a_);
  // Undisturbed this would take minutes.
  const std::string name = a_.Create(Cluster::SmallSpec(2, 1000)).name();
  a_.Watch(name, [](const v1::VideoEvent& e) { return e.progress().stage() == v1::STAGE_DENOISE; });
  grpc::ClientContext context;
  v1::CancelVideoRequest request;
  request.set_name(name);
  v1::Video video;
  ASSERT_TRUE(a_.stub().CancelVideo(&context, request, &video).ok());
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_CANCELLED);
  // The worker is free for the next video at once.
  Finish(a_, a_.Create(Cluster::SmallSpec(1)).name());
}

TEST_F(SeveralServers, AClipWaitsForTheWorkerOfAnotherServerThatHasItsLora) {
  auto plain = a_.StartWorker();
  const std::string folder = b_.dir() + "/loras";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/ink.safetensors", std::ios::binary) << TinyLora(1);
  auto styled = b_.StartWorker({"--lora-dir=" + folder});
  // The only worker that has it is at work; the other, at the server that is asked, is idle.
  const auto with_ink = [](v1::VideoSpec spec) {
    spec.add_lora()->set_name("ink");
    spec.mutable_lora(0)->set_strength(1);
    return spec;
  };
  const std::string busy = b_.Create(with_ink(Cluster::SmallSpec(2, kSteps))).name();
  b_.Watch(busy, InTheMiddleOf(0));
  Finish(a_, a_.Create(with_ink(Cluster::SmallSpec(1))).name());
  Finish(b_, busy);
  // Both are seen everywhere, with the next heartbeat of the servers.
  const absl::Time deadline = absl::Now() + kPatience;
  v1::ListWorkersResponse workers;
  do {
    grpc::ClientContext context;
    ASSERT_TRUE(a_.stub().ListWorkers(&context, {}, &workers).ok());
  } while (workers.workers_size() < 2 && absl::Now() < deadline);
  EXPECT_EQ(workers.workers_size(), 2);
}

TEST_F(SeveralServers, PostgresThatIsKilledAndComesBackLosesNothing) {
  const v1::VideoSpec spec = Cluster::SmallSpec(3, kSteps);
  const std::vector<std::string> undisturbed = UndisturbedRun(spec);
  auto worker = StartWorker(b_, a_);
  const std::string name = a_.Create(spec).name();
  a_.Watch(name, InTheMiddleOf(1));
  postgres_.Kill();
  postgres_.Start();
  const v1::Video video = Finish(a_, name);
  ASSERT_EQ(video.clips_size(), 3);
  EXPECT_EQ(a_.DownloadAll(video), undisturbed);
}

}  // namespace
}  // namespace svi::e2e
