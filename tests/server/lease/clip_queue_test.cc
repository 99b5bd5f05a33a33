#include "server/lease/clip_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/queue/sqlite_stores.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class ClipQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenSqliteJobStore(dir_.File("jobs.db"));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    queue_ = std::make_unique<ClipQueue>(store_.get(), [](const std::string&) { return TenantLimits(); });
  }
  void Make(const std::string& id, int clips = 1) {
    NewVideo video;
    video.id = id;
    for (int i = 0; i < clips; ++i) video.spec.add_prompts("a cat");
    video.image = {id + "/image", 1, std::string(32, 'h')};
    bool replayed = false;
    ASSERT_TRUE(store_->CreateVideo(video, kNow + absl::Seconds(++made_), &replayed).ok());
  }
  std::string Choose() {
    const auto clip = queue_->Choose({}, [](const std::vector<std::string>&) { return true; });
    return clip.has_value() ? absl::StrCat(clip->video_id, ":", clip->clip_index) : "nothing";
  }
  Lease Acquire(const std::string& id, uint32_t index, absl::Time at) {
    const auto leased = store_->AcquireLease(id, index, "workers/w", at);
    EXPECT_TRUE(leased.ok()) << leased.status();
    return leased.ok() ? leased->lease : Lease();
  }
  void Commit(const Lease& lease, absl::Time at) {
    std::vector<ArtifactRef> obsolete;
    FinishedClip clip;
    clip.mp4 = clip.carry = {absl::StrCat(lease.video_id, lease.clip_index), 1, std::string(32, 'h')};
    ASSERT_TRUE(store_->CommitClip(lease, clip, at, &obsolete).ok());
  }

  TempDir dir_;
  std::unique_ptr<JobStore> store_;
  std::unique_ptr<ClipQueue> queue_;
  int made_ = 0;
};

TEST_F(ClipQueueTest, LoadsWhatTheStoreHas) {
  for (int i = 0; i < 501; ++i) Make(absl::StrCat("v", i));  // more than a page
  const Lease lease = Acquire("v0", 0, kNow + absl::Hours(1));
  Commit(lease, kNow + absl::Hours(1) + absl::Seconds(30));
  Acquire("v1", 0, kNow + absl::Hours(1));
  ASSERT_TRUE(queue_->Load(kNow + absl::Hours(1) + absl::Seconds(31)).ok());
  const auto counts = queue_->CountByTenant();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].waiting, 499U);
  EXPECT_EQ(counts[0].running, 1U);
  EXPECT_EQ(Choose(), "v2:0");
  // How long a clip takes is known from the one that was served before.
  const auto estimate = queue_->Estimate("v2", kNow + absl::Hours(2));
  ASSERT_TRUE(estimate.has_value());
  EXPECT_EQ(*estimate->finish - *estimate->start, absl::Seconds(30));
}

TEST_F(ClipQueueTest, RefreshSeesEveryChange) {
  Make("v", 2);
  EXPECT_EQ(Choose(), "nothing");
  queue_->Refresh("v", kNow);
  EXPECT_EQ(Choose(), "v:0");
  const Lease lease = Acquire("v", 0, kNow);
  queue_->Refresh("v", kNow);
  EXPECT_EQ(Choose(), "nothing");
  EXPECT_TRUE(queue_->empty());
  Commit(lease, kNow + absl::Seconds(9));
  queue_->Refresh("v", kNow + absl::Seconds(9));
  EXPECT_EQ(Choose(), "v:1");
  ASSERT_TRUE(store_->CancelVideo("v", kNow).ok());
  queue_->Refresh("v", kNow + absl::Seconds(9));
  EXPECT_EQ(Choose(), "nothing");
}

TEST_F(ClipQueueTest, ReadingOnFindsWhatOthersDid) {
  Make("a");
  Make("b");
  ASSERT_TRUE(queue_->Load(kNow).ok());
  ASSERT_TRUE(store_->CancelVideo("a", kNow).ok());
  Make("c");
  EXPECT_EQ(Choose(), "a:0");  // it does not know
  queue_->ReadOn(kNow);
  EXPECT_EQ(Choose(), "b:0");
  Acquire("b", 0, kNow);
  queue_->ReadOn(kNow);
  EXPECT_EQ(Choose(), "c:0");
}

TEST_F(ClipQueueTest, WhatWasSetAsideIsReadAgain) {
  Make("a");
  Make("b");
  ASSERT_TRUE(queue_->Load(kNow).ok());
  queue_->SetAside("a", kNow);
  EXPECT_EQ(Choose(), "b:0");
  queue_->RetryStale(kNow);
  EXPECT_EQ(Choose(), "a:0");
}

// What is told at once and what the store tells later are the same lease.
TEST_F(ClipQueueTest, ALeaseIsCountedOnce) {
  Make("a", 2);
  ASSERT_TRUE(queue_->Load(kNow).ok());
  const absl::Time at = kNow + absl::Seconds(5) + absl::Nanoseconds(777);
  const auto clip = queue_->Choose({}, [](const std::vector<std::string>&) { return true; });
  ASSERT_TRUE(clip.has_value());
  const Lease lease = Acquire("a", 0, at);
  queue_->Leased(*clip, "workers/w", at);
  queue_->Refresh("a", at + absl::Seconds(1));
  EXPECT_EQ(queue_->CountByTenant().at(0).running, 1U);
  queue_->Done("a", at + absl::Seconds(20));
  Commit(lease, at + absl::Seconds(20));
  queue_->Refresh("a", at + absl::Seconds(20));
  queue_->SetWorkers(1, 0);
  const auto estimate = queue_->Estimate("a", kNow + absl::Minutes(1));
  ASSERT_TRUE(estimate.has_value());
  EXPECT_EQ(*estimate->start, kNow + absl::Minutes(1));
  EXPECT_NEAR(absl::ToDoubleSeconds(*estimate->finish - *estimate->start), 20, 1e-3);
}

}  // namespace
}  // namespace svi::server
