// A clip that is too large for its worker's memory fails with that reason, and poisons nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "tests/e2e/cluster.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;

// Beyond what the process has mapped after a small clip: enough for another, by far not for a large one.
constexpr rlim_t kHeadroom = rlim_t{96} << 20;

rlim_t MappedBytes(pid_t pid) {
  rlim_t pages = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

// The process gets no more memory than this from now on.
void LimitMemory(pid_t pid, rlim_t bytes) {
  const rlimit limit = {bytes, bytes};
  ASSERT_EQ(prlimit(pid, RLIMIT_AS, &limit, nullptr), 0);
}

TEST(OutOfMemory, ALargeClipFailsWithThatReasonAndLaterOnesAreAsEver) {
  const v1::VideoSpec small = Cluster::SmallSpec(2, 4);
  const std::vector<std::string> undisturbed = e2e::UndisturbedRun(small);
  v1::VideoSpec large = small;
  large.set_width(1024);
  large.set_height(1024);
  large.set_num_inference_steps(1);
  Cluster cluster;
  cluster.StartServer({"--max-attempts=1", "--lease-timeout=60s"});
  auto worker = cluster.StartWorker();
  const v1::Video before = cluster.AwaitEnd(cluster.Create(small).name());
  ASSERT_EQ(cluster.DownloadAll(before), undisturbed);
  LimitMemory(worker->pid(), MappedBytes(worker->pid()) + kHeadroom);

  for (int round = 0; round < 2; ++round) {
    const v1::Video failed = cluster.AwaitEnd(cluster.Create(large).name());
    EXPECT_EQ(failed.state(), v1::VIDEO_STATE_FAILED);
    EXPECT_EQ(failed.error().reason(), "OUT_OF_MEMORY") << failed.ShortDebugString();
    EXPECT_EQ(failed.error().code(), static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
    const v1::Video after = cluster.AwaitEnd(cluster.Create(small).name());
    ASSERT_EQ(after.state(), v1::VIDEO_STATE_SUCCEEDED) << after.ShortDebugString();
    EXPECT_EQ(cluster.DownloadAll(after), undisturbed);
    EXPECT_EQ(after.clips(0).worker(), before.clips(0).worker()) << "the worker did not live through it";
  }
}

TEST(OutOfMemory, AClipThatIsTooLargeForOneWorkerIsMadeByAnother) {
  v1::VideoSpec spec = Cluster::SmallSpec(1, 2);
  spec.set_width(512);
  spec.set_height(512);
  const std::vector<std::string> undisturbed = e2e::UndisturbedRun(spec);
  Cluster cluster;
  cluster.StartServer({"--max-attempts=50", "--lease-timeout=60s"});
  auto small = cluster.StartWorker();
  const v1::Video warm = cluster.AwaitEnd(cluster.Create(Cluster::SmallSpec(1, 2)).name());
  ASSERT_EQ(warm.state(), v1::VIDEO_STATE_SUCCEEDED);
  LimitMemory(small->pid(), MappedBytes(small->pid()));
  const std::string name = cluster.Create(spec).name();
  cluster.Watch(name, [](const v1::VideoEvent& event) { return event.has_clip_attempt_failed(); });
  auto large = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_NE(video.clips(0).worker(), warm.clips(0).worker());
  EXPECT_EQ(cluster.DownloadAll(video), undisturbed);
}

}  // namespace
}  // namespace svi::fault
