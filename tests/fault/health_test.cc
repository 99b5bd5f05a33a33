// Health tells the truth: of a worker whose engine hangs or is dead, of a server without its store, and of
// whoever is told to stop, while it still works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/conformance/postgres_server.h"
#include "tests/e2e/cluster.h"
#include "tests/fault/health_client.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;
using e2e::FreePort;
using e2e::Process;

std::string OnPort(int port) { return absl::StrCat("127.0.0.1:", port); }

// Stops one thread of a process, as a kernel that never ends would, until it is destroyed.
class HeldThread {
 public:
  HeldThread(pid_t process, const std::string& name) {
    const std::string tasks = absl::StrCat("/proc/", process, "/task");
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::string comm;
      std::ifstream(task.path() / "comm") >> comm;
      if (comm == name) thread_ = std::stoi(task.path().filename().string());
    }
    EXPECT_NE(thread_, -1) << "there is no thread " << name;
    if (thread_ < 0 || ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr) != 0) {
      error_ = absl::StrCat("ptrace: ", strerror(errno));
      return;
    }
    EXPECT_EQ(ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr), 0) << strerror(errno);
    EXPECT_EQ(waitpid(thread_, nullptr, __WALL), thread_) << strerror(errno);
  }
  // Until it has ended with its process, whose end nobody else hears of before.
  void AwaitEnd() { EXPECT_EQ(waitpid(thread_, nullptr, __WALL), thread_) << strerror(errno); }
  // Why it is not held; empty if it is.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  pid_t thread_ = -1;
  std::string error_;
};

class WorkerHealth : public testing::Test {
 protected:
  std::unique_ptr<Process> StartWorker(std::vector<std::string> flags = {}) {
    flags.push_back("--health-listen=" + OnPort(health_port_));
    return cluster_.StartWorker(flags);
  }

  Cluster cluster_;
  const int health_port_ = FreePort();
  HealthClient health_{OnPort(health_port_)};
};

TEST_F(WorkerHealth, AHungEngineMakesTheWorkerUnreadyAndItsClipGoesToAnother) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, kSteps);
  cluster_.StartServer();
  auto worker = StartWorker({"--engine-timeout=2s"});
  EXPECT_TRUE(health_.Await("", true));
  EXPECT_TRUE(health_.Await("live", true));
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  HeldThread engine(worker->pid(), "svi-engine");
  if (!engine.error().empty()) GTEST_SKIP() << "a thread cannot be stopped here: " << engine.error();
  EXPECT_TRUE(health_.Await("live", false)) << "whoever asks whether it lives would have let it hang";
  // It keeps no lease that it cannot work on, and leaves, so that a new one is started.
  engine.AwaitEnd();
  EXPECT_EQ(worker->Wait(), 1);
  EXPECT_EQ(cluster_.Get(name).state(), v1::VIDEO_STATE_QUEUED);
  auto other = cluster_.StartWorker();
  std::string reason;
  cluster_.Watch(name, [&reason](const v1::VideoEvent& event) {
    if (event.has_clip_attempt_failed()) reason = event.clip_attempt_failed().error().reason();
    return event.has_clip_attempt_failed();
  });
  EXPECT_EQ(reason, "ENGINE_STUCK");
  const v1::Video video = cluster_.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_EQ(video.clips(0).attempt(), 2u);
  EXPECT_EQ(cluster_.DownloadAll(video), e2e::UndisturbedRun(spec));
}

TEST_F(WorkerHealth, AnEngineThatWorksIsNotTakenForAHungOne) {
  cluster_.StartServer();
  // Much shorter than the clip, and longer than any of its steps.
  auto worker = StartWorker({"--engine-timeout=5s"});
  const v1::Video video = cluster_.AwaitEnd(cluster_.Create(Cluster::SmallSpec(2, 1000)).name());
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_TRUE(health_.IsServing(""));
}

TEST_F(WorkerHealth, WithoutItsServerAWorkerIsUnreadyButLives) {
  cluster_.StartServer();
  auto worker = StartWorker();
  EXPECT_TRUE(health_.Await("", true));
  cluster_.KillServer();
  EXPECT_TRUE(health_.Await("", false));
  EXPECT_TRUE(health_.IsServing("live"));
  cluster_.StartServer();
  EXPECT_TRUE(health_.Await("", true));
}

TEST_F(WorkerHealth, DrainingIsVisibleWhileTheClipIsStillBeingMade) {
  cluster_.StartServer();
  auto worker = StartWorker();
  const std::string name = cluster_.Create(Cluster::SmallSpec(2, 1000)).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  worker->Signal(SIGTERM);
  EXPECT_TRUE(health_.Await("", false));
  EXPECT_TRUE(health_.IsServing("live"));
  v1::ListWorkersResponse workers;
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  do {
    grpc::ClientContext context;
    ASSERT_TRUE(cluster_.stub().ListWorkers(&context, {}, &workers).ok());
    ASSERT_EQ(workers.workers_size(), 1);
  } while (workers.workers(0).state() != v1::WORKER_STATE_DRAINING && absl::Now() < give_up);
  EXPECT_EQ(workers.workers(0).state(), v1::WORKER_STATE_DRAINING);
  EXPECT_EQ(workers.workers(0).clip(), name + "/clips/0");
  EXPECT_EQ(cluster_.Get(name).clips_done(), 0u) << "it was not seen before the clip was done";
}

TEST(ServerHealth, WithoutItsDatabaseAServerDoesNotServeAndSaysSoItself) {
  PostgresServer postgres;
  Cluster cluster;
  cluster.StartServer({"--database=" + postgres.MakeDatabase()});
  HealthClient health(cluster.address());
  for (const char* service : {"", "svi.v1.VideoService", "svi.v1.WorkerService", "svi.v1.TrainingService"}) {
    EXPECT_TRUE(health.Await(service, true)) << service;
  }
  postgres.Kill();
  for (const char* service : {"", "svi.v1.VideoService", "svi.v1.WorkerService", "svi.v1.TrainingService"}) {
    EXPECT_TRUE(health.Await(service, false)) << service;
  }
  postgres.Start();
  EXPECT_TRUE(health.Await("", true));
}

TEST(ServerHealth, DrainingIsVisibleWhileCallsAreStillAnswered) {
  Cluster cluster;
  Process& server = cluster.StartServer({"--shutdown-grace=120s"});
  auto worker = cluster.StartWorker();
  const std::string name = cluster.Create(Cluster::SmallSpec(2, 1000)).name();
  cluster.Watch(name, InTheMiddleOf(0));
  HealthClient health(cluster.address());
  EXPECT_TRUE(health.Await("", true));
  server.Signal(SIGTERM);
  EXPECT_TRUE(health.Await("", false));
  // Load balancers have seen it; who is still there is served until the clip under way is done.
  EXPECT_EQ(cluster.Get(name).state(), v1::VIDEO_STATE_RUNNING);
  EXPECT_FALSE(cluster.Create(Cluster::SmallSpec(1)).name().empty());
  EXPECT_EQ(server.Wait(absl::Minutes(2)), 0);
  cluster.StartServer();
  EXPECT_EQ(cluster.Get(name).clips_done(), 1u);
}

}  // namespace
}  // namespace svi::fault
