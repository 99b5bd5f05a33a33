// One tenant neither sees nor changes what is another's: every call answers as if it were not there.
#include <gmock/gmock.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/tenant_table.h"
#include "server/rpc/status.h"
#include "server/rpc/training_handlers.h"
#include "server/rpc/watch_source.h"
#include "tests/server/rpc/service_fixture.h"

namespace svi::server {
namespace {

const CallIdentity kOwner{"acme"};
const CallIdentity kOther{"other"};

class TenantTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    VideoParts videos;
    videos.store = store_.get();
    videos.artifacts = artifacts_.get();
    videos.hub = hub_.get();
    videos.metrics = metrics_.get();
    videos.joins = joins_.get();
    videos.video_ended = [this](const std::string& id) { ended_.push_back(id); };
    videos_ = std::make_unique<VideoHandlers>(videos);
    TrainingParts runs;
    runs.store = training_store_.get();
    runs.artifacts = artifacts_.get();
    runs.hub = training_hub_.get();
    runs.metrics = metrics_.get();
    runs_ = std::make_unique<TrainingHandlers>(runs);
  }

  // NOT_FOUND with the words that a name without anything behind it gets.
  static void ExpectNone(const absl::Status& status, const std::string& what) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_EQ(status.message(), absl::StrCat("there is no ", what));
  }
  template <typename Request>
  static Request Named(const std::string& name) {
    Request request;
    request.set_name(name);
    return request;
  }

  void MakeFirstClip(const std::string& id) {
    const auto leased = store_->AcquireLease(id, 0, "workers/w1", absl::Now());
    ASSERT_TRUE(leased.ok()) << leased.status();
    FinishedClip clip;
    clip.mp4 = artifacts_->Put(id + "/clip", "mp4").value();
    clip.carry = artifacts_->Put(id + "/carry", "carry").value();
    std::vector<ArtifactRef> obsolete;
    const auto committed = store_->CommitClip(leased->lease, clip, absl::Now(), &obsolete);
    ASSERT_TRUE(committed.ok()) << committed.status();
  }

  std::unique_ptr<VideoHandlers> videos_;
  std::unique_ptr<TrainingHandlers> runs_;
};

TEST_F(TenantTest, VideosAreTheirOwnersAlone) {
  v1::CreateVideoRequest create = Request();
  create.mutable_spec()->set_open_ended(true);
  create.set_request_id("r");
  const auto video = videos_->Create(kOwner, create);
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->tenant(), "acme");
  MakeFirstClip(Id(video->name()));
  const std::string none = absl::StrCat("video ", video->name());
  ExpectNone(videos_->Get(kOther, Named<v1::GetVideoRequest>(video->name())).status(), none);
  ExpectNone(videos_->Cancel(kOther, Named<v1::CancelVideoRequest>(video->name())).status(), none);
  ExpectNone(videos_->Finish(kOther, Named<v1::FinishVideoRequest>(video->name())).status(), none);
  auto remove = Named<v1::DeleteVideoRequest>(video->name());
  remove.set_force(true);
  ExpectNone(videos_->Delete(kOther, remove).status(), none);
  auto append = Named<v1::AppendPromptsRequest>(video->name());
  append.add_prompts("more");
  ExpectNone(videos_->Append(kOther, append).status(), none);
  ExpectNone(videos_->OpenClip(kOther, Id(video->name()), 0).status(), none);
  ExpectNone(videos_->OpenVideo(kOther, Named<v1::DownloadVideoRequest>(video->name())).status(), none);
  // The same request of another tenant is another request.
  const auto again = videos_->Create(kOther, create);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->name(), video->name());
  EXPECT_TRUE(ended_.empty());

  const auto mine = videos_->Get(kOwner, Named<v1::GetVideoRequest>(video->name()));
  ASSERT_TRUE(mine.ok()) << mine.status();
  EXPECT_EQ(mine->revision(), 1U);
  EXPECT_TRUE(videos_->OpenClip(kOwner, Id(video->name()), 0).ok());
  const auto list = videos_->List(kOther, v1::ListVideosRequest());
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->videos_size(), 1);
  EXPECT_EQ(list->videos(0).name(), again->name());
}

TEST_F(TenantTest, APageTokenIsOneTenants) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(videos_->Create(kOwner, Request()).ok());
  v1::ListVideosRequest request;
  request.set_page_size(1);
  const auto page = videos_->List(kOwner, request);
  ASSERT_TRUE(page.ok()) << page.status();
  request.set_page_token(page->next_page_token());
  EXPECT_TRUE(videos_->List(kOwner, request).ok());
  EXPECT_EQ(videos_->List(kOther, request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TenantTest, LimitsRefuseWithWhatAClientNeeds) {
  const std::string path = dir_ + "/limits";
  std::ofstream(path) << "max_videos: 3 tenant { name: \"acme\" max_videos: 2 }";
  const auto tenants = TenantTable::Open(path);
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  VideoParts parts = videos_->parts();
  parts.tenants = tenants->get();
  VideoHandlers videos(parts);
  v1::CreateVideoRequest first = Request();
  first.set_request_id("first");
  ASSERT_TRUE(videos.Create(kOwner, first).ok());
  ASSERT_TRUE(videos.Create(kOwner, Request()).ok());
  const absl::Status quota = videos.Create(kOwner, Request()).status();
  EXPECT_EQ(quota.code(), absl::StatusCode::kResourceExhausted);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(GetErrorInfo(quota, &info));
  EXPECT_EQ(info.reason(), "QUOTA_EXCEEDED");
  google::rpc::QuotaFailure failure;
  ASSERT_TRUE(GetQuotaFailure(quota, &failure));
  ASSERT_EQ(failure.violations_size(), 1);
  EXPECT_EQ(failure.violations(0).subject(), "tenant:acme");
  EXPECT_THAT(failure.violations(0).description(), testing::HasSubstr("limit of 2"));
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(GetRetryInfo(quota, &retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
  EXPECT_TRUE(videos.Create(kOwner, first).ok());  // a replay makes nothing

  ASSERT_TRUE(videos.Create(kOther, Request()).ok());
  const absl::Status full = videos.Create(kOther, Request()).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(GetErrorInfo(full, &info));
  EXPECT_EQ(info.reason(), "QUEUE_FULL");
  EXPECT_TRUE(GetRetryInfo(full, &retry));
  EXPECT_FALSE(GetQuotaFailure(full, &failure));
  EXPECT_THAT(metrics_->Text(), testing::HasSubstr("svi_videos_refused_total{reason=\"quota\"} 1"));
}

TEST_F(TenantTest, AVideoTellsItsEstimate) {
  VideoParts parts = videos_->parts();
  const absl::Time start = absl::FromUnixSeconds(2'000'000'000) + absl::Milliseconds(250);
  parts.estimate = [&](const std::string&) {
    VideoEstimate estimate;
    estimate.start = start;
    estimate.finish = start + absl::Seconds(60);
    return std::optional(estimate);
  };
  VideoHandlers videos(parts);
  const auto made = videos.Create(kOwner, Request());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->estimated_start_time().seconds(), 2'000'000'000);
  EXPECT_EQ(made->estimated_start_time().nanos(), 250'000'000);
  EXPECT_EQ(made->estimated_finish_time().seconds(), 2'000'000'060);
  const auto cancelled = videos.Cancel(kOwner, Named<v1::CancelVideoRequest>(made->name()));
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  const auto ended = videos.Get(kOwner, Named<v1::GetVideoRequest>(made->name()));
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_FALSE(ended->has_estimated_start_time() || ended->has_estimated_finish_time());
}

TEST_F(TenantTest, WatchingIsTheOwnersAlone) {
  const auto video = videos_->Create(kOwner, Request());
  ASSERT_TRUE(video.ok()) << video.status();
  const std::atomic<bool> stopping{false};
  for (const CallIdentity& caller : {kOwner, kOther}) {
    WatchOptions options;
    options.id = Id(video->name());
    options.tenant = caller.tenant;
    VideoWatch watch(store_.get(), hub_.get(), &stopping, options);
    watch.Subscribe([] {});
    v1::VideoEvent event;
    absl::Status status;
    const auto next = watch.Produce(&event, &status);
    if (caller.tenant == kOwner.tenant) {
      EXPECT_EQ(next, MessageSource::Next::kMessage);
    } else {
      EXPECT_EQ(next, MessageSource::Next::kDone);
      ExpectNone(status, absl::StrCat("video ", video->name()));
    }
  }
}

TEST_F(TenantTest, TrainingRunsAreTheirOwnersAlone) {
  v1::CreateTrainingRunRequest create;
  create.mutable_spec()->set_dataset("scenes");
  create.mutable_spec()->set_max_steps(10);
  const auto run = runs_->Create(kOwner, create);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->tenant(), "acme");
  const std::string none = absl::StrCat("training run ", run->name());
  ExpectNone(runs_->Get(kOther, Named<v1::GetTrainingRunRequest>(run->name())).status(), none);
  ExpectNone(runs_->Cancel(kOther, Named<v1::CancelTrainingRunRequest>(run->name())).status(), none);
  const auto list = runs_->List(kOther, v1::ListTrainingRunsRequest());
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->training_runs_size(), 0);
  EXPECT_EQ(runs_->Get(kOwner, Named<v1::GetTrainingRunRequest>(run->name()))->state(),
            v1::TRAINING_STATE_QUEUED);
}

}  // namespace
}  // namespace svi::server
