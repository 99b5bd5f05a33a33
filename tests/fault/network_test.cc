// A worker whose network is cut or slow, while server and worker both live.
#include "tests/fault/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;
using e2e::Process;

// How long the network is away: much shorter than the lease timeout, or until something has happened.
constexpr absl::Duration kShortCut = absl::Seconds(1);
constexpr char kLongLease[] = "--lease-timeout=30s";

class Networks : public testing::Test {
 protected:
  void SetUp() override {
    if (!Network::Unavailable().empty())
      GTEST_SKIP() << "no network namespaces here: " << Network::Unavailable();
    network_ = std::make_unique<Network>();
  }
  void TearDown() override {
    far_.reset();
    network_.reset();
  }

  void StartServer(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> all = {absl::StrCat("--listen=0.0.0.0:", cluster_.port()), "--allow-plaintext"};
    all.insert(all.end(), flags.begin(), flags.end());
    cluster_.StartServer(all);
  }
  // The worker behind the network.
  void StartFarWorker() {
    cluster_.SetLauncher(
        [this](const std::vector<std::string>& command) { return network_->Inside(command); });
    far_ = cluster_.StartWorker({absl::StrCat("--server=", network_->host(), ":", cluster_.port())});
    cluster_.SetLauncher([](std::vector<std::string> command) { return command; });
  }
  bool Reachable() {
    Process connect(network_->Inside(
        {"/bin/bash", "-c",
         absl::StrCat("timeout 2 bash -c '</dev/tcp/", network_->host(), "/", cluster_.port(), "'")}));
    return connect.Wait() == 0;
  }
  void CheckSucceeded(const std::string& name, const v1::VideoSpec& spec, uint32_t attempt_of_first_clip) {
    const v1::Video video = cluster_.AwaitEnd(name);
    ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    for (const v1::Clip& clip : video.clips()) {
      EXPECT_EQ(clip.attempt(), clip.index() == 0 ? attempt_of_first_clip : 1u);
    }
    EXPECT_EQ(cluster_.DownloadAll(video), e2e::UndisturbedRun(spec));
  }

  Cluster cluster_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Process> far_;
};

TEST_F(Networks, ACutIsACut) {
  StartServer();
  EXPECT_TRUE(Reachable());
  network_->Cut();
  EXPECT_FALSE(Reachable());
  network_->Mend();
  EXPECT_TRUE(Reachable());
}

TEST_F(Networks, ACutThatIsShorterThanTheLeaseTimeoutIsNotNoticed) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, 3 * kSteps);
  StartServer({kLongLease});
  StartFarWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  network_->Cut();
  absl::SleepFor(kShortCut);
  network_->Mend();
  CheckSucceeded(name, spec, 1);
}

TEST_F(Networks, ACutThatIsLongerGivesTheClipToAnotherWorkerAndTheFirstIsRefused) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, 3 * kSteps);
  StartServer();
  StartFarWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  network_->Cut();
  auto near = cluster_.StartWorker();
  // It has long made the clip, too, and keeps it for the server.
  far_->WaitForText("/clips/0 e1: made");
  cluster_.Watch(name, [](const v1::VideoEvent& e) { return e.has_clip_done(); });
  network_->Mend();
  far_->WaitForText("/clips/0 e1: lost while disconnected");
  CheckSucceeded(name, spec, 2);
}

TEST_F(Networks, AClipThatWasMadeDuringACutIsHandedOverAfterwards) {
  const v1::VideoSpec spec = Cluster::SmallSpec(1, kSteps);
  StartServer({kLongLease});
  StartFarWorker();
  const std::string name = cluster_.Create(spec).name();
  cluster_.Watch(name, InTheMiddleOf(0));
  network_->Cut();
  far_->WaitForText("/clips/0 e1: made");
  network_->Mend();
  CheckSucceeded(name, spec, 1);
}

TEST_F(Networks, ASlowLineMakesItSlowAndNothingElse) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2, 4);
  StartServer({kLongLease});
  StartFarWorker();
  network_->Slow();
  const std::string name = cluster_.Create(spec).name();
  CheckSucceeded(name, spec, 1);
}

}  // namespace
}  // namespace svi::fault
