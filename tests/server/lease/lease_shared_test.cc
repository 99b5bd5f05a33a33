// Leases where several servers share the store: what others do in it, this server finds out.
#include "absl/strings/str_cat.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

class SharedStoreTest : public LeaseTest {
 protected:
  SharedStoreTest() {
    StopServer();
    options_.reconcile_interval = absl::Seconds(2);
    StartServer();
  }
};

TEST_F(SharedStoreTest, ALeaseThatAnotherServerEndedIsDropped) {
  MakeVideo("cat", 1);
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->Heartbeat(lease);
  worker->Barrier();
  ASSERT_TRUE(store_->CancelVideo("cat", clock_.Now()).ok());  // nobody tells this server
  clock_.Advance(absl::Seconds(1));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_FALSE(dispatcher_->Idle()) << "it must not ask the store in every pass";
  clock_.Advance(absl::Seconds(1));
  dispatcher_->RunOnce(clock_.Now());
  worker->ExpectCancel(lease, "LEASE_LOST");
  EXPECT_TRUE(dispatcher_->Idle());
}

TEST_F(SharedStoreTest, ALeaseThatWasLeftToThisServerIsHandedOutAgainIfNobodyComes) {
  MakeVideo("cat", 1);
  ASSERT_TRUE(store_->AcquireLease("cat", 0, "workers/gone", clock_.Now()).ok());
  clock_.Advance(absl::Seconds(2));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_FALSE(dispatcher_->Idle());
  LetLeasesExpire();
  EXPECT_TRUE(dispatcher_->Idle());
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  EXPECT_EQ(job.assign.attempt(), 1u) << "that a server went away is no failed attempt";
}

// It was a page every half a second, and one with every hint.
TEST_F(SharedStoreTest, ALongQueueIsReadWithoutPauses) {
  constexpr size_t kVideos = 1100;  // three pages
  const auto waiting = [this] {
    const auto counts = dispatcher_->CountByTenant();
    return counts.empty() ? 0 : counts[0].waiting;
  };
  for (size_t i = 0; i < kVideos; ++i) {
    NewVideo video;
    video.id = absl::StrCat("v", i);
    video.spec.add_prompts("made at another server");
    video.image = {"image", 1, std::string(32, 'h')};
    bool replayed = false;
    ASSERT_TRUE(store_->CreateVideo(video, clock_.Now(), &replayed).ok());
  }
  dispatcher_->WorkChanged();  // once, and no time goes by
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (waiting() < kVideos && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(waiting(), kVideos);
}

TEST_F(SharedStoreTest, AWorkerBringsItsLeaseAlong) {
  MakeVideo("cat", 1);
  // Leased by a server of which this one knows nothing.
  const auto leased = store_->AcquireLease("cat", 0, "workers/w1", clock_.Now());
  ASSERT_TRUE(leased.ok()) << leased.status();
  const v1::LeaseId lease = LeaseIdOf("cat", 0, leased->lease.epoch);
  auto worker = Connect();
  const v1::Registered registered = worker->Register("w1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.clip_bytes_received(), 0u);
  worker->Upload(lease, "clip", "carry");
  worker->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
  EXPECT_EQ(Video("cat").clips(0).attempt(), 1u);
}

TEST_F(SharedStoreTest, AWorkerCannotBringAnothersLease) {
  MakeVideo("cat", 1);
  const auto leased = store_->AcquireLease("cat", 0, "workers/w1", clock_.Now());
  ASSERT_TRUE(leased.ok()) << leased.status();
  const v1::LeaseId lease = LeaseIdOf("cat", 0, leased->lease.epoch);
  auto thief = Connect();
  EXPECT_FALSE(thief->Register("w2", lease).resume());
  thief->ExpectCancel(lease, "LEASE_LOST");
  EXPECT_TRUE(store_->CheckLease(leased->lease).ok());
}

}  // namespace
}  // namespace svi::server
