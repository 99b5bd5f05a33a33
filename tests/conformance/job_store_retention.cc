// Part of JobStoreConformance: what retention asks.
#include "tests/conformance/job_store_conformance.h"

namespace svi::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Ids(const absl::StatusOr<std::vector<EndedVideo>>& videos) {
  EXPECT_TRUE(videos.ok()) << videos.status();
  std::vector<std::string> ids;
  if (!videos.ok()) return ids;
  for (const EndedVideo& video : *videos) ids.push_back(video.id);
  return ids;
}

TEST_P(JobStoreConformance, ListEndedKnowsOnlyWhatHasEnded) {
  Create("queued");
  Create("running");
  Acquire("running", 0);
  NewVideo open = MakeVideo("waiting");
  open.spec.set_open_ended(true);
  Create(open);
  MakeOne("waiting", 0);
  EXPECT_THAT(Ids(store_->ListEnded(absl::InfiniteFuture(), std::nullopt, 10)), IsEmpty());
}

TEST_P(JobStoreConformance, ListEndedIsByEndAcrossTenantsAndPaged) {
  for (const char* id : {"a", "b", "c", "d"}) {
    NewVideo video = MakeVideo(id);
    video.tenant = std::string("of-") + id;
    Create(video);
  }
  MakeOne("c", 0);
  const absl::Time between = Now();
  ASSERT_TRUE(store_->CancelVideo("a", Now()).ok());
  const Lease lease = Acquire("d", 0).lease;
  ASSERT_TRUE(store_->FailLease(lease, Failed(1), Now()).ok());
  const absl::Time end = now_;
  // At one instant: by id.
  ASSERT_TRUE(store_->CancelVideo("b", end).ok());

  EXPECT_THAT(Ids(store_->ListEnded(end + absl::Seconds(1), std::nullopt, 10)),
              ElementsAre("c", "a", "b", "d"));
  EXPECT_THAT(Ids(store_->ListEnded(end, std::nullopt, 10)), ElementsAre("c", "a"));
  EXPECT_THAT(Ids(store_->ListEnded(between, std::nullopt, 10)), ElementsAre("c"));
  const auto first = store_->ListEnded(absl::InfiniteFuture(), std::nullopt, 3);
  EXPECT_THAT(Ids(first), ElementsAre("c", "a", "b"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->back().tenant, "of-b");
  EXPECT_EQ(first->back().end_time, end);
  EXPECT_THAT(Ids(store_->ListEnded(absl::InfiniteFuture(), first->back(), 3)), ElementsAre("d"));
  ASSERT_TRUE(store_->DeleteVideo("c").ok());
  EXPECT_THAT(Ids(store_->ListEnded(absl::InfiniteFuture(), std::nullopt, 1)), ElementsAre("a"));
}

}  // namespace
}  // namespace svi::server
