// Conformance: creating, reading, listing, cancelling, deleting videos.
#include <google/protobuf/util/message_differencer.h>

#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/conformance/job_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(JobStoreConformance, CreateMakesAQueuedVideoWithItsFirstClipLeasable) {
  NewVideo video = MakeVideo("v", {"one", "two"});
  video.spec.set_image("the bytes");
  video.spec.set_clips_per_prompt(3);
  video.spec.set_priority(5);
  const absl::Time before = now_;
  const v1::Video created = Create(video);
  EXPECT_EQ(created.name(), "videos/v");
  EXPECT_EQ(created.state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(created.spec().image(), "");
  EXPECT_EQ(created.spec().prompts_size(), 2);
  EXPECT_EQ(created.clips_done(), 0);
  EXPECT_EQ(created.clips_total(), 6);
  EXPECT_EQ(created.revision(), 1);
  EXPECT_EQ(created.last_sequence(), 1);
  EXPECT_TRUE(created.finished());
  EXPECT_FALSE(created.has_end_time());
  EXPECT_EQ(created.create_time().seconds(), absl::ToUnixSeconds(before) + 1);
  EXPECT_EQ(created.create_time().nanos(), 123'456'000);
  EXPECT_TRUE(MessageDifferencer::Equals(created, Get("v")));
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED"));

  const std::vector<CurrentClip> clips = CurrentClips();
  ASSERT_EQ(clips.size(), 1);
  EXPECT_EQ(clips[0].video_id, "v");
  EXPECT_EQ(clips[0].tenant, "default");
  EXPECT_EQ(clips[0].clip_index, 0);
  EXPECT_EQ(clips[0].clips_total, 6);
  EXPECT_FALSE(clips[0].more_may_come);
  EXPECT_EQ(clips[0].priority, 5);
  EXPECT_EQ(clips[0].ready_since, now_);
  EXPECT_EQ(clips[0].video_created, now_);
  EXPECT_FALSE(clips[0].leased());
}

TEST_P(JobStoreConformance, LeasableClipsSayWhichLorasTheyNeed) {
  NewVideo plain = MakeVideo("plain", {"one"});
  NewVideo drawn = MakeVideo("drawn", {"one"});
  for (const char* name : {"wash", "Ink.1", "wash"}) drawn.spec.add_lora()->set_name(name);
  Create(plain);
  Create(drawn);
  const std::vector<CurrentClip> clips = CurrentClips();
  ASSERT_EQ(clips.size(), 2);
  EXPECT_THAT(clips[0].loras, ElementsAre("Ink.1", "wash"));
  EXPECT_THAT(clips[1].loras, IsEmpty());
}

TEST_P(JobStoreConformance, CreateKeepsEveryFieldOfTheSpec) {
  NewVideo video = MakeVideo("v", {"prompt ✓"});
  video.spec.set_negative_prompt("");
  video.spec.set_seed((uint64_t{1} << 62) - 1);
  video.spec.set_variant(v1::VARIANT_FILM);
  video.spec.add_lora()->set_name("style");
  video.spec.set_priority(-100);
  const v1::Video created = Create(video);
  EXPECT_TRUE(MessageDifferencer::Equals(created.spec(), video.spec));
  EXPECT_TRUE(MessageDifferencer::Equals(Get("v").spec(), video.spec));
}

TEST_P(JobStoreConformance, PlannedClips) {
  NewVideo capped = MakeVideo("capped", {"a", "b", "c"});
  capped.spec.set_num_clips(2);
  EXPECT_EQ(Create(capped).clips_total(), 2);
  NewVideo shot = MakeVideo("shot", {"a"});
  shot.spec.set_variant(v1::VARIANT_SHOT);
  shot.spec.set_num_clips(7);
  EXPECT_EQ(Create(shot).clips_total(), 7);
  NewVideo open = MakeVideo("open", {"a"});
  open.spec.set_open_ended(true);
  open.spec.set_num_clips(7);
  const v1::Video created = Create(open);
  EXPECT_EQ(created.clips_total(), 1);
  EXPECT_FALSE(created.finished());
}

TEST_P(JobStoreConformance, AVideoWithoutClipsIsRefused) {
  bool replayed = false;
  EXPECT_EQ(store_->CreateVideo(MakeVideo("v", {}), Now(), &replayed).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->GetVideo("v").status().code(), StatusCode::kNotFound);
}

TEST_P(JobStoreConformance, ATakenIdIsRefusedAndChangesNothing) {
  Create("v");
  bool replayed = true;
  EXPECT_EQ(store_->CreateVideo(MakeVideo("v", {"other"}), Now(), &replayed).status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_FALSE(replayed);
  EXPECT_EQ(Get("v").spec().prompts(0), "a cat");
}

TEST_P(JobStoreConformance, ReplayOfARequestReturnsTheFirstVideo) {
  NewVideo video = MakeVideo("first");
  video.request_id = "r1";
  video.request_hash = std::string("\0hash", 5);
  Create(video);
  MakeOne("first", 0);
  video.id = "second";
  bool replayed = false;
  const absl::StatusOr<v1::Video> replay = store_->CreateVideo(video, Now(), &replayed);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_TRUE(replayed);
  EXPECT_EQ(replay->name(), "videos/first");
  EXPECT_EQ(replay->state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(store_->GetVideo("second").status().code(), StatusCode::kNotFound);

  video.request_hash = std::string("\0hasH", 5);
  EXPECT_EQ(store_->CreateVideo(video, Now(), &replayed).status().code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(replayed);
}

TEST_P(JobStoreConformance, VideosWithoutRequestIdAreNeverReplays) {
  Create("a");
  Create("b");
  EXPECT_THAT(LeasableIds(), ElementsAre("a:0", "b:0"));
}

TEST_P(JobStoreConformance, DeletingAVideoFreesItsRequestId) {
  NewVideo video = MakeVideo("first");
  video.request_id = "r1";
  video.request_hash = "h";
  Create(video);
  ASSERT_TRUE(store_->CancelVideo("first", Now()).ok());
  ASSERT_TRUE(store_->DeleteVideo("first").ok());
  video.id = "second";
  video.request_hash = "other";
  EXPECT_EQ(Create(video).name(), "videos/second");
}

TEST_P(JobStoreConformance, EachTenantSeesItsOwnVideos) {
  NewVideo video = MakeVideo("a1");
  video.tenant = "acme";
  EXPECT_EQ(Create(video).tenant(), "acme");
  Create("d1");
  video.id = "a2";
  Create(video);
  EXPECT_EQ(Get("a1").tenant(), "acme");
  EXPECT_EQ(Get("d1").tenant(), "default");
  EXPECT_EQ(store_->TenantOf("a1").value(), "acme");
  EXPECT_EQ(store_->TenantOf("none").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(store_->CancelVideo("a2", Now()).ok());
  const auto names = [&](const std::string& tenant, const std::vector<v1::VideoState>& states) {
    std::vector<std::string> result;
    std::optional<std::pair<int64_t, std::string>> after;
    do {
      const absl::StatusOr<VideoPage> page = store_->ListVideos(tenant, states, 1, after);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      for (const v1::Video& listed : page->videos) result.push_back(listed.name());
      after = page->next;
    } while (after.has_value());
    return result;
  };
  EXPECT_THAT(names("acme", {}), ElementsAre("videos/a2", "videos/a1"));
  EXPECT_THAT(names("acme", {v1::VIDEO_STATE_QUEUED}), ElementsAre("videos/a1"));
  EXPECT_THAT(names("default", {}), ElementsAre("videos/d1"));
  EXPECT_THAT(names("nobody", {}), IsEmpty());
  const std::vector<CurrentClip> clips = CurrentClips();
  ASSERT_EQ(clips.size(), 2);
  EXPECT_EQ(clips[0].tenant, "acme");
  EXPECT_EQ(clips[1].tenant, "default");
}

TEST_P(JobStoreConformance, EachTenantHasItsOwnRequestIds) {
  NewVideo video = MakeVideo("first");
  video.tenant = "acme";
  video.request_id = "r1";
  video.request_hash = "h";
  Create(video);
  video.id = "second";
  video.tenant = "other";
  video.request_hash = "another request";
  EXPECT_EQ(Create(video).name(), "videos/second");
  bool replayed = false;
  EXPECT_EQ(store_->CreateVideo(video, Now(), &replayed)->name(), "videos/second");
  EXPECT_TRUE(replayed);
}

TEST_P(JobStoreConformance, ATenantsLimitCountsItsVideosThatHaveNotEnded) {
  const auto make = [&](const std::string& id, const std::string& tenant) {
    NewVideo video = MakeVideo(id);
    video.tenant = tenant;
    video.request_id = id;
    video.request_hash = "h";
    video.max_tenant_videos = 2;
    bool replayed = false;
    return store_->CreateVideo(video, Now(), &replayed).status();
  };
  EXPECT_TRUE(make("a", "acme").ok());
  EXPECT_TRUE(make("b", "acme").ok());
  Acquire("a", 0);
  const absl::Status full = make("c", "acme");
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(full.GetPayload(kTenantLimitPayload).has_value());
  EXPECT_EQ(store_->GetVideo("c").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(make("b", "acme").ok());  // a replay
  EXPECT_TRUE(make("d", "other").ok());
  ASSERT_TRUE(store_->CancelVideo("a", Now()).ok());
  EXPECT_TRUE(make("c", "acme").ok());
}

TEST_P(JobStoreConformance, TheServersLimitCountsAllTenantsVideos) {
  const auto make = [&](const std::string& id, const std::string& tenant) {
    NewVideo video = MakeVideo(id);
    video.tenant = tenant;
    video.max_tenant_videos = 10;
    video.max_videos = 2;
    bool replayed = false;
    return store_->CreateVideo(video, Now(), &replayed).status();
  };
  EXPECT_TRUE(make("a", "acme").ok());
  EXPECT_TRUE(make("b", "other").ok());
  const absl::Status full = make("c", "third");
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(full.GetPayload(kTenantLimitPayload).has_value());
  MakeOne("a", 0);
  EXPECT_TRUE(make("c", "third").ok());
}

TEST_P(JobStoreConformance, UnknownVideos) {
  Lease lease{"none", 0, 1};
  std::vector<ArtifactRef> obsolete;
  EXPECT_EQ(store_->GetVideo("none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->CancelVideo("none", Now()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->DeleteVideo("none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->AppendPrompts("none", {"x"}, {}, Now()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->FinishVideo("none", {}, Now()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->ListEvents("none", 0, 1).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->GetClip("none", 0).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->AcquireLease("none", 0, "w", Now()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->CheckLease(lease).code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->CommitClip(lease, MakeClip(lease), Now(), &obsolete).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(store_->FailLease(lease, Failed(), Now()).status().code(), StatusCode::kNotFound);
}

TEST_P(JobStoreConformance, ListIsNewestFirstAndPaged) {
  for (int i = 0; i < 7; ++i) Create(absl::StrCat("v", i));
  std::optional<std::pair<int64_t, std::string>> after;
  std::vector<std::string> names;
  std::vector<size_t> pages;
  do {
    const absl::StatusOr<VideoPage> page = store_->ListVideos(kDefaultTenant, {}, 3, after);
    ASSERT_TRUE(page.ok()) << page.status();
    pages.push_back(page->videos.size());
    for (const v1::Video& video : page->videos) names.push_back(video.name().substr(7));
    after = page->next;
  } while (after.has_value());
  EXPECT_THAT(names, ElementsAre("v6", "v5", "v4", "v3", "v2", "v1", "v0"));
  EXPECT_THAT(pages, ElementsAre(3, 3, 1));
}

TEST_P(JobStoreConformance, AFullLastPageHasNoNext) {
  Create("a");
  Create("b");
  const absl::StatusOr<VideoPage> page = store_->ListVideos(kDefaultTenant, {}, 2, {});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->videos.size(), 2);
  EXPECT_FALSE(page->next.has_value());
}

TEST_P(JobStoreConformance, PagingWithEqualTimestampsSkipsAndRepeatsNothing) {
  const absl::Time same = Now();
  bool replayed = false;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(store_->CreateVideo(MakeVideo(absl::StrCat("v", i)), same, &replayed).ok());
  }
  for (int i = 0; i < 10; i += 2) ASSERT_TRUE(store_->CancelVideo(absl::StrCat("v", i), Now()).ok());
  for (const std::vector<v1::VideoState>& states :
       {std::vector<v1::VideoState>{}, {v1::VIDEO_STATE_QUEUED, v1::VIDEO_STATE_CANCELLED}}) {
    std::optional<std::pair<int64_t, std::string>> after;
    std::vector<std::string> names;
    do {
      const absl::StatusOr<VideoPage> page = store_->ListVideos(kDefaultTenant, states, 3, after);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const v1::Video& video : page->videos) names.push_back(video.name().substr(7));
      after = page->next;
    } while (after.has_value());
    EXPECT_THAT(names, ElementsAre("v9", "v8", "v7", "v6", "v5", "v4", "v3", "v2", "v1", "v0"));
  }
}

TEST_P(JobStoreConformance, ListFiltersByState) {
  Create("queued");
  Create("running");
  Create("done");
  Acquire("running", 0);
  MakeOne("done", 0);
  const auto names = [&](const std::vector<v1::VideoState>& states) {
    std::vector<std::string> result;
    const absl::StatusOr<VideoPage> page = store_->ListVideos(kDefaultTenant, states, 10, {});
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return result;
    for (const v1::Video& video : page->videos) result.push_back(video.name());
    return result;
  };
  EXPECT_THAT(names({v1::VIDEO_STATE_RUNNING}), ElementsAre("videos/running"));
  EXPECT_THAT(names({v1::VIDEO_STATE_QUEUED, v1::VIDEO_STATE_SUCCEEDED, v1::VIDEO_STATE_QUEUED}),
              ElementsAre("videos/done", "videos/queued"));
  EXPECT_THAT(names({v1::VIDEO_STATE_FAILED}), IsEmpty());
}

TEST_P(JobStoreConformance, ListLeavesOutClips) {
  Create("v", {"a", "b"});
  MakeOne("v", 0);
  EXPECT_EQ(Get("v").clips_size(), 1);
  const absl::StatusOr<VideoPage> page = store_->ListVideos(kDefaultTenant, {}, 10, {});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->videos.size(), 1);
  EXPECT_EQ(page->videos[0].clips_size(), 0);
  EXPECT_EQ(page->videos[0].clips_done(), 1);
}

TEST_P(JobStoreConformance, LimitsBelowOneAreRefused) {
  Create("v");
  EXPECT_EQ(store_->ListVideos(kDefaultTenant, {}, 0, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->ListEvents("v", 0, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->ListCurrentClips("", 0).status().code(), StatusCode::kInvalidArgument);
}

TEST_P(JobStoreConformance, CancelEndsAQueuedVideo) {
  Create("v");
  const absl::StatusOr<v1::Video> cancelled = store_->CancelVideo("v", Now());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_TRUE(cancelled->has_end_time());
  EXPECT_THAT(LeasableIds(), IsEmpty());
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "CANCELLED"));
  // Again: nothing changes.
  const absl::StatusOr<v1::Video> again = store_->CancelVideo("v", Now());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*again, *cancelled));
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "CANCELLED"));
}

TEST_P(JobStoreConformance, CancelOfASucceededVideoChangesNothing) {
  Create("v");
  MakeOne("v", 0);
  const absl::StatusOr<v1::Video> video = store_->CancelVideo("v", Now());
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->state(), v1::VIDEO_STATE_SUCCEEDED);
}

TEST_P(JobStoreConformance, CancelVoidsALease) {
  Create("v", {"a", "b"});
  MakeOne("v", 0);
  const LeasedClip leased = Acquire("v", 1);
  ASSERT_TRUE(store_->CancelVideo("v", Now()).ok());
  std::vector<ArtifactRef> obsolete;
  EXPECT_EQ(store_->CheckLease(leased.lease).code(), StatusCode::kAborted);
  EXPECT_EQ(store_->CommitClip(leased.lease, MakeClip(leased.lease), Now(), &obsolete).status().code(),
            StatusCode::kAborted);
  EXPECT_EQ(store_->FailLease(leased.lease, Failed(), Now()).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store_->AcquireLease("v", 1, "w", Now()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(obsolete, IsEmpty());
  EXPECT_EQ(Get("v").state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_EQ(Get("v").clips_size(), 1);
  const auto held = store_->ListHeldLeases();
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_THAT(*held, IsEmpty());
}

TEST_P(JobStoreConformance, DeleteOfAnActiveVideoIsRefused) {
  Create("v");
  EXPECT_EQ(store_->DeleteVideo("v").status().code(), StatusCode::kFailedPrecondition);
  Acquire("v", 0);
  EXPECT_EQ(store_->DeleteVideo("v").status().code(), StatusCode::kFailedPrecondition);
  NewVideo open = MakeVideo("open");
  open.spec.set_open_ended(true);
  Create(open);
  MakeOne("open", 0);
  EXPECT_EQ(store_->DeleteVideo("open").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get("open").clips_size(), 1);
}

TEST_P(JobStoreConformance, DeleteReturnsWhatIsStillReferredTo) {
  Create("v", {"a", "b", "c"});
  Create("other");
  MakeOne("v", 0);
  MakeOne("v", 1);
  ASSERT_TRUE(store_->CancelVideo("v", Now()).ok());
  const absl::StatusOr<std::vector<ArtifactRef>> artifacts = store_->DeleteVideo("v");
  ASSERT_TRUE(artifacts.ok()) << artifacts.status();
  std::set<std::string> keys;
  for (const ArtifactRef& artifact : *artifacts) keys.insert(artifact.key);
  // The carry of clip 0 was obsolete when clip 1 was committed.
  EXPECT_THAT(keys, ElementsAre("v/clip-0.e1.mp4", "v/clip-1.e1.carry", "v/clip-1.e1.mp4", "v/image"));
  EXPECT_EQ(artifacts->size(), 4);
  EXPECT_EQ(store_->GetVideo("v").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->ListEvents("v", 0, 1).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->GetClip("v", 0).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Get("other").state(), v1::VIDEO_STATE_QUEUED);
  // Nothing of it is left: the id may be used again.
  Create("v");
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED"));
}

TEST_P(JobStoreConformance, EventsAfterASequenceNumber) {
  Create("v", {"a", "b"});
  MakeOne("v", 0);
  ASSERT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0", "done 0", "QUEUED"));
  const absl::StatusOr<std::vector<v1::VideoEvent>> two = store_->ListEvents("v", 2, 2);
  ASSERT_TRUE(two.ok()) << two.status();
  ASSERT_EQ(two->size(), 2);
  EXPECT_EQ((*two)[0].sequence(), 3);
  EXPECT_EQ((*two)[1].sequence(), 4);
  EXPECT_THAT(Events("v", 5), IsEmpty());
  EXPECT_THAT(Events("v", std::numeric_limits<uint64_t>::max()), IsEmpty());
}

TEST_P(JobStoreConformance, CountsVideosAndLeasableClips) {
  Create("a");
  Create("b");
  Create("c");
  Acquire("a", 0);
  MakeOne("b", 0);
  const absl::StatusOr<JobStore::Counts> counts = store_->Count();
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_THAT(counts->videos,
              testing::UnorderedElementsAre(
                  testing::Pair(v1::VIDEO_STATE_QUEUED, 1), testing::Pair(v1::VIDEO_STATE_RUNNING, 1),
                  testing::Pair(v1::VIDEO_STATE_WAITING, 0), testing::Pair(v1::VIDEO_STATE_SUCCEEDED, 1),
                  testing::Pair(v1::VIDEO_STATE_FAILED, 0), testing::Pair(v1::VIDEO_STATE_CANCELLED, 0)));
  EXPECT_EQ(counts->leasable_clips, 1);
}

}  // namespace
}  // namespace svi::server
