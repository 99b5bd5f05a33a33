// Conformance: reopening, and many threads at once.
#include <google/protobuf/util/message_differencer.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/conformance/job_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;

// Runs body(i) on `count` threads and waits for them.
template <typename Body>
void InThreads(int count, const Body& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST_P(JobStoreConformance, ReopeningKeepsEverything) {
  NewVideo video = MakeVideo("v", {"a", "b", "c"});
  video.request_id = "r1";
  video.request_hash = "h";
  Create(video);
  MakeOne("v", 0);
  ASSERT_TRUE(store_->FailLease(Acquire("v", 1).lease, Failed(), Now()).ok());
  const LeasedClip held = Acquire("v", 1);
  Create("queued");
  const v1::Video before = Get("v");
  const std::vector<std::string> log = Log("v");

  Reopen();
  EXPECT_TRUE(MessageDifferencer::Equals(Get("v"), before));
  EXPECT_EQ(Log("v"), log);
  EXPECT_THAT(LeasableIds(), ElementsAre("queued:0"));
  EXPECT_TRUE(store_->CheckLease(held.lease).ok());
  const absl::StatusOr<std::vector<JobStore::HeldLease>> leases = store_->ListHeldLeases();
  ASSERT_TRUE(leases.ok()) << leases.status();
  ASSERT_EQ(leases->size(), 1);
  EXPECT_EQ((*leases)[0].lease.epoch, 2);
  bool replayed = false;
  EXPECT_TRUE(store_->CreateVideo(video, Now(), &replayed).ok());
  EXPECT_TRUE(replayed);
  EXPECT_EQ(Commit(held.lease).clips_done(), 2);
}

TEST_P(JobStoreConformance, ConcurrentWritersLeaveNoGapInTheEvents) {
  constexpr int kThreads = 8;
  constexpr int kEach = 10;
  NewVideo video = MakeVideo("v");
  video.spec.set_open_ended(true);
  Create(video);
  const absl::Time now = Now();
  std::atomic<int> failures = 0;
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kEach; ++i) {
      const std::string own = absl::StrCat("t", thread, "-", i);
      bool replayed = false;
      if (!store_->AppendPrompts("v", {own}, {}, now).ok()) ++failures;
      if (!store_->CreateVideo(MakeVideo(own), now, &replayed).ok()) ++failures;
      if (!store_->ListEvents("v", 0, 1000).ok()) ++failures;
      if (!store_->GetVideo(own).ok()) ++failures;
    }
  });
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Log("v").size(), 1 + kThreads * kEach);  // Log checks each number
  EXPECT_EQ(Get("v").revision(), 1 + kThreads * kEach);
  EXPECT_EQ(Get("v").spec().prompts_size(), 1 + kThreads * kEach);
  EXPECT_EQ(LeasableIds(1000).size(), 1 + kThreads * kEach);
}

TEST_P(JobStoreConformance, OneOfManyGetsTheLease) {
  Create("v");
  const absl::Time now = Now();
  std::atomic<int> winners = 0;
  std::atomic<int> losers = 0;
  InThreads(8, [&](int thread) {
    const absl::Status status = store_->AcquireLease("v", 0, absl::StrCat("workers/", thread), now).status();
    if (status.ok()) ++winners;
    if (status.code() == StatusCode::kFailedPrecondition) ++losers;
  });
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(losers, 7);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0"));
}

TEST_P(JobStoreConformance, OneOfManyRepliesMakesTheVideo) {
  const absl::Time now = Now();
  std::atomic<int> made = 0;
  std::atomic<int> replays = 0;
  InThreads(8, [&](int thread) {
    NewVideo video = MakeVideo(absl::StrCat("v", thread));
    video.request_id = "same";
    video.request_hash = "h";
    bool replayed = false;
    if (!store_->CreateVideo(video, now, &replayed).ok()) return;
    ++(replayed ? replays : made);
  });
  EXPECT_EQ(made, 1);
  EXPECT_EQ(replays, 7);
  EXPECT_EQ(LeasableIds().size(), 1);
}

TEST_P(JobStoreConformance, OneOfCommitAndCancelWins) {
  for (int round = 0; round < 10; ++round) {
    const std::string id = absl::StrCat("v", round);
    Create(id);
    const Lease lease = Acquire(id, 0).lease;
    const absl::Time now = Now();
    absl::Status commit;
    InThreads(2, [&](int thread) {
      std::vector<ArtifactRef> obsolete;
      if (thread == 0) commit = store_->CommitClip(lease, MakeClip(lease), now, &obsolete).status();
      if (thread == 1) store_->CancelVideo(id, now).IgnoreError();
    });
    const v1::Video video = Get(id);
    EXPECT_EQ(video.state(), commit.ok() ? v1::VIDEO_STATE_SUCCEEDED : v1::VIDEO_STATE_CANCELLED);
    EXPECT_EQ(video.clips_size(), commit.ok() ? 1 : 0);
    EXPECT_EQ(Log(id).size(), commit.ok() ? 5 : 4);
  }
}

}  // namespace
}  // namespace svi::server
