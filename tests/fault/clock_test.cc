// The clock of a server, of its workers, or of both is set while they work. Leases go by a clock that nobody
// can set, so nothing comes of it.
#include "absl/time/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <fstream>

#include "tests/e2e/cluster.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;
using e2e::Process;

// The clock of one process.
class JumpingClock {
 public:
  explicit JumpingClock(std::string file) : file_(std::move(file)) { Set(absl::ZeroDuration()); }

  // Ahead of the real time by this from now on.
  void Set(absl::Duration ahead) {
    const int64_t nanos = absl::ToInt64Nanoseconds(ahead);
    char bytes[sizeof nanos];
    std::memcpy(bytes, &nanos, sizeof nanos);
    // In place: the process has it mapped.
    std::fstream out(file_, std::ios::in | std::ios::out | std::ios::binary);
    if (!out) out.open(file_, std::ios::out | std::ios::binary);
    out.write(bytes, sizeof bytes);
    EXPECT_TRUE(out.flush());
  }
  // The command, to be run by this clock.
  [[nodiscard]] std::vector<std::string> By(std::vector<std::string> command) const {
    command.insert(command.begin(),
                   {"/usr/bin/env", "LD_PRELOAD=" SVI_JUMPING_CLOCK, "SVI_CLOCK_FILE=" + file_});
    return command;
  }

 private:
  const std::string file_;
};

TEST(JumpingClockTest, AProcessLivesByIt) {
  Cluster cluster;
  JumpingClock clock(cluster.dir() + "/clock");
  clock.Set(absl::Hours(24 * 365));
  Process process(clock.By({"/bin/date", "+%Y"}));
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.output(),
            absl::FormatTime("%Y\n", absl::Now() + absl::Hours(24 * 365), absl::UTCTimeZone()));
}

class ClockJumps : public testing::TestWithParam<absl::Duration> {
 protected:
  ClockJumps() : server_clock_(cluster_.dir() + "/server"), worker_clock_(cluster_.dir() + "/worker") {
    cluster_.SetLauncher([this](std::vector<std::string> command) {
      return command[0] == e2e::BinaryPath("svi-server") ? server_clock_.By(std::move(command))
                                                         : worker_clock_.By(std::move(command));
    });
  }
  // It ended well, at the first attempt, with the undisturbed run's clips.
  void CheckUndisturbed(const std::string& name, const v1::VideoSpec& spec) {
    const v1::Video video = cluster_.AwaitEnd(name);
    ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    for (const v1::Clip& clip : video.clips()) EXPECT_EQ(clip.attempt(), 1u) << "its lease was lost";
    EXPECT_EQ(cluster_.DownloadAll(video), e2e::UndisturbedRun(spec));
  }

  Cluster cluster_;
  JumpingClock server_clock_;
  JumpingClock worker_clock_;
};

INSTANTIATE_TEST_SUITE_P(, ClockJumps, testing::Values(absl::Hours(5), absl::Hours(-5)),
                         [](const auto& info) {
                           return info.param > absl::ZeroDuration() ? "Forwards" : "Back";
                         });

TEST_P(ClockJumps, LeasesGoOnAndNoEventIsLost) {
  const v1::VideoSpec spec = Cluster::SmallSpec(4, kSteps);
  cluster_.StartServer();
  auto worker = cluster_.StartWorker();
  const std::string name = cluster_.Create(spec).name();
  // Watch checks that events come in order, without a gap.
  cluster_.Watch(name, InTheMiddleOf(0));
  server_clock_.Set(GetParam());
  cluster_.Watch(name, InTheMiddleOf(1));
  worker_clock_.Set(GetParam());
  cluster_.Watch(name, InTheMiddleOf(2));
  server_clock_.Set(absl::ZeroDuration());
  worker_clock_.Set(absl::ZeroDuration());
  CheckUndisturbed(name, spec);
}

TEST_P(ClockJumps, AFrozenWorkersLeaseStillEnds) {
  cluster_.StartServer();
  auto frozen = cluster_.StartWorker();
  const std::string name = cluster_.Create(Cluster::SmallSpec(1, 3 * kSteps)).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  frozen->Signal(SIGSTOP);
  server_clock_.Set(GetParam());
  auto other = cluster_.StartWorker();
  const v1::Video video = cluster_.AwaitEnd(name);
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  EXPECT_EQ(video.clips(0).attempt(), 2u);
}

TEST_P(ClockJumps, AWorkerFindsItsServerAgain) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, kSteps);
  cluster_.StartServer();
  auto worker = cluster_.StartWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  worker_clock_.Set(GetParam());
  cluster_.KillServer();
  server_clock_.Set(GetParam());
  cluster_.StartServer();
  CheckUndisturbed(name, spec);
}

}  // namespace
}  // namespace svi::fault
