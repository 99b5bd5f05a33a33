#include "server/retention/sweeper.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/server/retention/retention_fixture.h"

namespace svi::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Orphans = SweeperOptions::Orphans;

// Artifacts whose deletion can be made to fail, as of a server that dies or a store that is away.
class StubbornArtifacts final : public ArtifactStore {
 public:
  explicit StubbornArtifacts(ArtifactStore* real) : real_(real) {}
  std::atomic<bool> stubborn{false};

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) override {
    return real_->OpenWriter(key);
  }
  absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset, uint64_t length) override {
    return real_->ReadAt(ref, offset, length);
  }
  absl::Status Delete(const ArtifactRef& ref) override {
    return stubborn ? absl::UnavailableError("away") : real_->Delete(ref);
  }
  absl::Status Visit(absl::FunctionRef<bool(const ArtifactInfo&)> visit) override {
    return real_->Visit(visit);
  }

 private:
  ArtifactStore* const real_;
};

class SweeperTest : public RetentionTest {
 protected:
  SweeperTest() {
    options_.clock = [this] { return now_ + later_; };
    parts_.jobs = jobs_.get();
    parts_.training = training_.get();
    parts_.artifacts = &stubborn_;
    parts_.video_deleted = [this](const std::string& id) {
      const std::lock_guard<std::mutex> lock(mu_);
      deleted_.push_back(id);
    };
  }
  SweepCounts Sweep() { return Sweeper(parts_, options_).RunOnce(); }

  absl::Duration later_ = absl::ZeroDuration();
  StubbornArtifacts stubborn_{artifacts_.get()};
  SweeperOptions options_;
  SweeperParts parts_;
  std::mutex mu_;
  std::vector<std::string> deleted_;
};

TEST_F(SweeperTest, WithoutRetentionNothingThatIsReferredToGoes) {
  MakeVideo("done", 1);
  MakeClip("done", 0);
  later_ = absl::Hours(24 * 365);
  const SweepCounts counts = Sweep();
  EXPECT_TRUE(counts.complete);
  EXPECT_EQ(counts.expired_videos + counts.orphans + counts.errors, 0);
  EXPECT_THAT(Keys(), ElementsAre("done/clip-00000.e1.mp4", "done/image"));
}

TEST_F(SweeperTest, VideosGoWhenTheirTimeIsOver) {
  options_.retention.keep = absl::Hours(2);
  MakeVideo("done", 1);
  MakeClip("done", 0);
  MakeVideo("active", 2);
  MakeClip("active", 0);
  later_ = absl::Hours(2) - absl::Seconds(1);
  EXPECT_EQ(Sweep().expired_videos, 0);
  later_ = absl::Hours(2) + absl::Seconds(1);
  const SweepCounts counts = Sweep();
  EXPECT_EQ(counts.expired_videos, 1);
  EXPECT_EQ(counts.expired_bytes, 11);  // "picture", "clip"
  EXPECT_EQ(counts.errors, 0);
  EXPECT_FALSE(VideoExists("done"));
  EXPECT_TRUE(VideoExists("active"));
  EXPECT_THAT(deleted_, ElementsAre("done"));
  EXPECT_THAT(Keys(), ElementsAre("active/clip-00000.e1.carry", "active/clip-00000.e1.mp4", "active/image"));
  EXPECT_EQ(Sweep().expired_videos, 0);
}

TEST_F(SweeperTest, ATenantMayHaveATimeOfItsOwn) {
  ASSERT_TRUE(AddRetention("10h", &options_.retention).ok());
  ASSERT_TRUE(AddRetention("short=1h", &options_.retention).ok());
  ASSERT_TRUE(AddRetention("long=100h", &options_.retention).ok());
  for (const char* tenant : {"short", "long", "other"}) {
    MakeVideo(tenant, 1, tenant);
    Cancel(tenant);
  }
  later_ = absl::Hours(2);
  Sweep();
  EXPECT_THAT(deleted_, ElementsAre("short"));
  later_ = absl::Hours(11);
  Sweep();
  EXPECT_THAT(deleted_, ElementsAre("short", "other"));
  later_ = absl::Hours(101);
  Sweep();
  EXPECT_THAT(deleted_, ElementsAre("short", "other", "long"));
}

TEST_F(SweeperTest, ManyVideosPassInPages) {
  options_.retention.keep = absl::Hours(1);
  options_.retention.tenants["kept"] = absl::Hours(1000);
  for (int i = 0; i < 600; ++i) {
    const std::string id = absl::StrCat("v", i);
    MakeVideo(id, 1, i % 2 == 0 ? "kept" : kDefaultTenant);
    Cancel(id);
  }
  later_ = absl::Hours(2);
  EXPECT_EQ(Sweep().expired_videos, 300);
  EXPECT_TRUE(VideoExists("v0"));
  EXPECT_FALSE(VideoExists("v599"));
}

TEST_F(SweeperTest, ADryRunOnlyCounts) {
  options_.retention.keep = absl::Hours(1);
  options_.retention_dry_run = true;
  options_.orphans = Orphans::kReport;
  MakeVideo("done", 1);
  Cancel("done");
  Put("gone/image");
  later_ = absl::Hours(48);
  const SweepCounts counts = Sweep();
  EXPECT_EQ(counts.expired_videos, 1);
  EXPECT_EQ(counts.orphans, 1);
  EXPECT_TRUE(counts.dry_run);
  EXPECT_TRUE(VideoExists("done"));
  EXPECT_THAT(Keys(), ElementsAre("done/image", "gone/image"));
}

TEST_F(SweeperTest, OrphansGoAfterTheirGraceAndForeignFilesNever) {
  MakeVideo("cat", 1);
  Put("gone/image");
  Put("gone/clip-00000.e1.mp4");
  Put("somebody/elses-file");
  options_.orphan_grace = absl::Hours(24);
  later_ = absl::Hours(23);
  SweepCounts counts = Sweep();
  EXPECT_EQ(counts.orphans, 0);
  EXPECT_EQ(counts.foreign, 1);
  later_ = absl::Hours(25);
  options_.orphans = Orphans::kKeep;
  EXPECT_EQ(Sweep().orphans, 0);
  options_.orphans = Orphans::kDelete;
  counts = Sweep();
  EXPECT_EQ(counts.orphans, 2);
  EXPECT_EQ(counts.orphan_bytes, 10 + 22);
  EXPECT_THAT(Keys(), ElementsAre("cat/image", "somebody/elses-file"));
}

TEST_F(SweeperTest, WhatAnInterruptedSweepLeavesTheNextOneFinishes) {
  options_.retention.keep = absl::Hours(1);
  MakeVideo("done", 1);
  MakeClip("done", 0);
  later_ = absl::Hours(48);
  // The server dies between the row and its artifacts: for the store it is the same as if they could not be
  // deleted.
  stubborn_.stubborn = true;
  EXPECT_GT(Sweep().errors, 0);
  EXPECT_FALSE(VideoExists("done"));
  EXPECT_THAT(Keys(), ElementsAre("done/clip-00000.e1.mp4", "done/image"));
  stubborn_.stubborn = false;
  const SweepCounts counts = Sweep();
  EXPECT_EQ(counts.orphans, 2);
  EXPECT_THAT(Keys(), IsEmpty());
}

TEST_F(SweeperTest, AStopIsHeededBetweenVideosAndLeavesNoDanglingReference) {
  options_.retention.keep = absl::Hours(1);
  for (const char* id : {"a", "b", "c"}) {
    MakeVideo(id, 1);
    MakeClip(id, 0);
  }
  later_ = absl::Hours(2);
  Sweeper* sweeper = nullptr;
  parts_.video_deleted = [&](const std::string&) { sweeper->Stop(); };
  Sweeper stopped(parts_, options_);
  sweeper = &stopped;
  const SweepCounts counts = stopped.RunOnce();
  EXPECT_FALSE(counts.complete);
  EXPECT_EQ(counts.expired_videos, 1);
  EXPECT_FALSE(VideoExists("a"));
  for (const char* id : {"b", "c"}) {
    const auto clip = jobs_->GetClip(id, 0);
    ASSERT_TRUE(clip.ok());
    EXPECT_TRUE(artifacts_->ReadAt(clip->mp4, 0, 4).ok());
  }
  parts_.video_deleted = [](const std::string&) {};
  EXPECT_EQ(Sweep().expired_videos, 2);
  EXPECT_THAT(Keys(), IsEmpty());
}

TEST_F(SweeperTest, SeveralServersMaySweepAtOnce) {
  options_.retention.keep = absl::Hours(1);
  for (int i = 0; i < 30; ++i) {
    const std::string id = absl::StrCat("v", i);
    MakeVideo(id, 1);
    MakeClip(id, 0);
    Put(absl::StrCat("orphan", i, "/image"));
  }
  later_ = absl::Hours(48);
  std::atomic<uint64_t> videos = 0;
  std::atomic<uint64_t> errors = 0;
  std::vector<std::thread> servers;
  for (int i = 0; i < 4; ++i) {
    servers.emplace_back([&] {
      const SweepCounts counts = Sweep();
      videos += counts.expired_videos;
      errors += counts.errors;
    });
  }
  for (std::thread& server : servers) server.join();
  EXPECT_EQ(videos, 30);  // each was one server's
  EXPECT_EQ(errors, 0);
  EXPECT_THAT(Keys(), IsEmpty());
}

TEST_F(SweeperTest, RunsByItselfUntilItIsStopped) {
  options_.interval = absl::Milliseconds(5);
  std::atomic<int> sweeps = 0;
  parts_.swept = [&sweeps](const SweepCounts&) { ++sweeps; };
  Sweeper sweeper(parts_, options_);
  sweeper.Start();
  while (sweeps < 3) std::this_thread::yield();
  sweeper.Stop();
  const int after = sweeps;
  sweeper.Stop();
  EXPECT_EQ(sweeps, after);
}

TEST(AddRetention, WrongOnesAreNamed) {
  RetentionPolicy policy;
  EXPECT_EQ(policy.Shortest(), absl::InfiniteDuration());
  for (const char* bad : {"", "7d", "0s", "-1h", "=1h", "a=", "a=0s", "a=b=1h"}) {
    const absl::Status status = AddRetention(bad, &policy);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--retention"));
  }
  EXPECT_EQ(policy.Shortest(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace svi::server
