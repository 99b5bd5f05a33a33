// Conformance: leases, fencing, retries.
#include <google/protobuf/util/message_differencer.h>

#include "tests/conformance/job_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(JobStoreConformance, ALeaseHoldsAllThatAWorkerNeeds) {
  NewVideo video = MakeVideo("v", {"one", "two"});
  video.spec.set_seed(100);
  Create(video);
  const LeasedClip first = Acquire("v", 0);
  EXPECT_EQ(first.lease.video_id, "v");
  EXPECT_EQ(first.lease.clip_index, 0);
  EXPECT_EQ(first.lease.epoch, 1);
  EXPECT_EQ(first.attempt, 1);
  EXPECT_TRUE(MessageDifferencer::Equals(first.spec, video.spec));
  EXPECT_EQ(first.image.key, "v/image");
  EXPECT_EQ(first.image.size, 1234);
  EXPECT_EQ(first.image.sha256, std::string(32, '\x07'));
  EXPECT_FALSE(first.carry.has_value());
  EXPECT_EQ(Get("v").state(), v1::VIDEO_STATE_RUNNING);
  EXPECT_TRUE(store_->CheckLease(first.lease).ok());
  EXPECT_THAT(LeasableIds(), IsEmpty());
  Commit(first.lease);

  const LeasedClip second = Acquire("v", 1);
  ASSERT_TRUE(second.carry.has_value());
  EXPECT_EQ(second.carry->key, "v/clip-0.e1.carry");
  EXPECT_EQ(second.carry->size, 2000);
  EXPECT_EQ(second.carry->sha256, std::string(32, '\x02'));

  const v1::VideoEvent started = Events("v")[2];
  EXPECT_EQ(started.clip_started().worker(), "workers/w1");
  EXPECT_EQ(started.clip_started().attempt(), 1);
}

TEST_P(JobStoreConformance, OnlyALeasableClipCanBeLeased) {
  Create("v", {"a", "b"});
  EXPECT_EQ(store_->AcquireLease("v", 1, "w", Now()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->AcquireLease("v", 2, "w", Now()).status().code(), StatusCode::kNotFound);
  Acquire("v", 0);
  EXPECT_EQ(store_->AcquireLease("v", 0, "w", Now()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0"));
}

TEST_P(JobStoreConformance, ClipsAreCommittedUpToSuccess) {
  NewVideo video = MakeVideo("v", {"one", "two"});
  video.spec.set_seed(7);
  Create(video);
  v1::Video state = MakeOne("v", 0);
  EXPECT_EQ(state.state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(state.clips_done(), 1);
  EXPECT_THAT(LeasableIds(), ElementsAre("v:1"));
  state = MakeOne("v", 1);
  EXPECT_EQ(state.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_TRUE(state.has_end_time());
  EXPECT_THAT(LeasableIds(), IsEmpty());
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0", "done 0", "QUEUED", "RUNNING",
                                    "started 1", "done 1", "SUCCEEDED"));
  const v1::Video done = Get("v");
  ASSERT_EQ(done.clips_size(), 2);
  const v1::Clip& clip = done.clips(1);
  EXPECT_EQ(clip.name(), "videos/v/clips/1");
  EXPECT_EQ(clip.index(), 1);
  EXPECT_EQ(clip.prompt(), "two");
  EXPECT_EQ(clip.seed(), 7 + 42);
  EXPECT_EQ(clip.attempt(), 1);
  EXPECT_EQ(clip.frame_count(), 81);
  EXPECT_EQ(clip.size_bytes(), 1001);
  EXPECT_EQ(clip.denoise_time().seconds(), 7);
  EXPECT_EQ(clip.worker(), "workers/w1");
  EXPECT_EQ(clip.create_time().seconds(), absl::ToUnixSeconds(now_));
  EXPECT_TRUE(MessageDifferencer::Equals(Events("v")[7].clip_done(), clip));
}

TEST_P(JobStoreConformance, GetClip) {
  Create("v", {"a", "b"});
  MakeOne("v", 0);
  const absl::StatusOr<FinishedClip> clip = store_->GetClip("v", 0);
  ASSERT_TRUE(clip.ok()) << clip.status();
  EXPECT_EQ(clip->mp4.key, "v/clip-0.e1.mp4");
  EXPECT_EQ(clip->mp4.size, 1000);
  EXPECT_EQ(clip->mp4.sha256, std::string(32, '\x01'));
  EXPECT_EQ(clip->carry.key, "v/clip-0.e1.carry");
  EXPECT_EQ(clip->clip.prompt(), "a");
  EXPECT_EQ(store_->GetClip("v", 1).status().code(), StatusCode::kNotFound);
  Acquire("v", 1);
  EXPECT_EQ(store_->GetClip("v", 1).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->GetClip("v", 2).status().code(), StatusCode::kNotFound);
}

TEST_P(JobStoreConformance, TheLastClipsCarryIsObsoleteAtOnce) {
  Create("v", {"a"});
  std::vector<ArtifactRef> obsolete;
  const Lease only = Acquire("v", 0).lease;
  ASSERT_TRUE(store_->CommitClip(only, MakeClip(only), Now(), &obsolete).ok());
  ASSERT_EQ(obsolete.size(), 1);
  EXPECT_EQ(obsolete[0].key, "v/clip-0.e1.carry");
  EXPECT_EQ(store_->GetClip("v", 0)->carry.key, "");
  EXPECT_EQ(store_->GetClip("v", 0)->mp4.key, "v/clip-0.e1.mp4");
}

TEST_P(JobStoreConformance, CommitNamesTheCarryThatIsObsolete) {
  Create("v", {"a", "b", "c"});
  std::vector<ArtifactRef> obsolete;
  const Lease first = Acquire("v", 0).lease;
  ASSERT_TRUE(store_->CommitClip(first, MakeClip(first), Now(), &obsolete).ok());
  EXPECT_THAT(obsolete, IsEmpty());
  const Lease second = Acquire("v", 1).lease;
  ASSERT_TRUE(store_->CommitClip(second, MakeClip(second), Now(), &obsolete).ok());
  ASSERT_EQ(obsolete.size(), 1);
  EXPECT_EQ(obsolete[0].key, "v/clip-0.e1.carry");
  EXPECT_EQ(obsolete[0].size, 2000);
  const absl::StatusOr<FinishedClip> clip = store_->GetClip("v", 0);
  ASSERT_TRUE(clip.ok()) << clip.status();
  EXPECT_EQ(clip->carry.key, "");
}

TEST_P(JobStoreConformance, OldEpochsAreFencedOff) {
  Create("v", {"a", "b"});
  const Lease old_lease = Acquire("v", 0).lease;
  ASSERT_TRUE(store_->FailLease(old_lease, Failed(), Now()).ok());
  std::vector<ArtifactRef> obsolete;
  const auto expect_fenced = [&](const Lease& lease) {
    EXPECT_EQ(store_->CheckLease(lease).code(), StatusCode::kAborted);
    EXPECT_EQ(store_->CommitClip(lease, MakeClip(lease), Now(), &obsolete).status().code(),
              StatusCode::kAborted);
    EXPECT_EQ(store_->FailLease(lease, Failed(), Now()).status().code(), StatusCode::kAborted);
  };
  expect_fenced(old_lease);  // nobody holds it
  const Lease current = Acquire("v", 0).lease;
  EXPECT_EQ(current.epoch, 2);
  expect_fenced(old_lease);    // another one holds it
  expect_fenced({"v", 0, 3});  // an epoch that is still to come
  EXPECT_TRUE(store_->CheckLease(current).ok());
  Commit(current);
  expect_fenced(current);  // it is done
  EXPECT_EQ(store_->CheckLease({"v", 5, 1}).code(), StatusCode::kNotFound);
  EXPECT_THAT(obsolete, IsEmpty());
  EXPECT_EQ(Get("v").clips_done(), 1);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0", "failed 0", "QUEUED", "RUNNING",
                                    "started 0", "done 0", "QUEUED"));
}

TEST_P(JobStoreConformance, AttemptsAreRetriedUpToTheLimit) {
  Create("v", {"a", "b"});
  MakeOne("v", 0);
  for (uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const LeasedClip leased = Acquire("v", 1);
    EXPECT_EQ(leased.attempt, attempt);
    EXPECT_EQ(leased.lease.epoch, attempt);
    const absl::StatusOr<v1::Video> video = store_->FailLease(leased.lease, Failed(3), Now());
    ASSERT_TRUE(video.ok()) << video.status();
    EXPECT_EQ(video->state(), attempt < 3 ? v1::VIDEO_STATE_QUEUED : v1::VIDEO_STATE_FAILED);
    EXPECT_EQ(video->has_error(), attempt == 3);
  }
  const v1::Video failed = Get("v");
  EXPECT_EQ(failed.error().reason(), "LEASE_EXPIRED");
  EXPECT_EQ(failed.clips_size(), 1);
  EXPECT_TRUE(failed.has_end_time());
  EXPECT_THAT(LeasableIds(), IsEmpty());
  EXPECT_EQ(store_->AcquireLease("v", 1, "w", Now()).status().code(), StatusCode::kFailedPrecondition);
  const std::vector<v1::VideoEvent> events = Events("v");
  const v1::VideoEvent& last = events.back();
  EXPECT_EQ(last.state_changed().state(), v1::VIDEO_STATE_FAILED);
  EXPECT_TRUE(MessageDifferencer::Equals(last.state_changed().error(), failed.error()));
  const v1::ClipAttemptFailed& attempt = events[events.size() - 2].clip_attempt_failed();
  EXPECT_EQ(attempt.clip_index(), 1);
  EXPECT_EQ(attempt.attempt(), 3);
  EXPECT_EQ(attempt.max_attempts(), 3);
  EXPECT_THAT(attempt.error().message(), HasSubstr("went away"));
}

TEST_P(JobStoreConformance, AttemptOfTheClipIsTheOneThatSucceeded) {
  Create("v");
  ASSERT_TRUE(store_->FailLease(Acquire("v", 0).lease, Failed(), Now()).ok());
  MakeOne("v", 0);
  EXPECT_EQ(Get("v").clips(0).attempt(), 2);
  EXPECT_FALSE(Get("v").has_error());
}

TEST_P(JobStoreConformance, APermanentFailureIsNotRetried) {
  Create("v");
  JobStore::FailedAttempt failure = Failed(3);
  failure.permanent = true;
  const absl::StatusOr<v1::Video> video = store_->FailLease(Acquire("v", 0).lease, failure, Now());
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->state(), v1::VIDEO_STATE_FAILED);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0", "failed 0", "FAILED"));
}

TEST_P(JobStoreConformance, HandingBackDoesNotCountAsAnAttempt) {
  Create("v");
  JobStore::FailedAttempt handed_back = Failed(1);
  handed_back.handed_back = true;
  for (uint64_t epoch = 1; epoch <= 5; ++epoch) {
    const LeasedClip leased = Acquire("v", 0);
    EXPECT_EQ(leased.attempt, 1);
    EXPECT_EQ(leased.lease.epoch, epoch);
    const absl::StatusOr<v1::Video> video = store_->FailLease(leased.lease, handed_back, Now());
    ASSERT_TRUE(video.ok()) << video.status();
    EXPECT_EQ(video->state(), v1::VIDEO_STATE_QUEUED);
  }
  EXPECT_EQ(Log("v").size(), 1 + 5 * 3);  // RUNNING, started, QUEUED: no attempt has failed
  EXPECT_THAT(Log("v"), testing::Not(testing::Contains("failed 0")));
  EXPECT_EQ(Events("v")[3].state_changed().state(), v1::VIDEO_STATE_QUEUED);
}

TEST_P(JobStoreConformance, AClipWaitsFromWhenItBecameReady) {
  for (const auto& [id, priority] :
       std::vector<std::pair<std::string, int>>{{"low", -1}, {"first", 0}, {"second", 0}, {"high", 9}}) {
    NewVideo video = MakeVideo(id, {"a", "b"});
    video.spec.set_priority(priority);
    Create(video);
  }
  EXPECT_THAT(LeasableIds(), ElementsAre("high:0", "first:0", "second:0", "low:0"));
  // The next clip and the retried one queue up again.
  MakeOne("first", 0);
  EXPECT_THAT(LeasableIds(), ElementsAre("high:0", "second:0", "first:1", "low:0"));
  ASSERT_TRUE(store_->FailLease(Acquire("second", 0).lease, Failed(), Now()).ok());
  EXPECT_THAT(LeasableIds(), ElementsAre("high:0", "first:1", "second:0", "low:0"));
}

TEST_P(JobStoreConformance, CurrentClipsTellTheirLeases) {
  NewVideo open = MakeVideo("b", {"one", "two"});
  open.spec.set_open_ended(true);
  Create(open);
  Create("a", {"one", "two"});
  Create("c");
  Create("waiting");
  ASSERT_TRUE(store_->CancelVideo("c", Now()).ok());
  const LeasedClip first = Acquire("b", 0);
  const absl::Time leased_at = now_;
  std::vector<CurrentClip> clips = CurrentClips();
  ASSERT_EQ(clips.size(), 3);
  EXPECT_EQ(clips[0].video_id, "a");
  EXPECT_EQ(clips[1].video_id, "b");
  EXPECT_EQ(clips[1].worker, "workers/w1");
  EXPECT_EQ(clips[1].leased_at, leased_at);
  EXPECT_TRUE(clips[1].more_may_come);
  EXPECT_EQ(clips[2].video_id, "waiting");
  EXPECT_FALSE(clips[2].leased());
  // By pages, after an id.
  const auto page = store_->ListCurrentClips("a", 1);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 1);
  EXPECT_EQ((*page)[0].video_id, "b");
  // One that is put back is nobody's; the next clip is another.
  ASSERT_TRUE(store_->FailLease(first.lease, Failed(), Now()).ok());
  EXPECT_FALSE(store_->FindCurrentClip("b")->value().leased());
  MakeOne("b", 0);
  const auto next = store_->FindCurrentClip("b");
  ASSERT_TRUE(next.ok()) << next.status();
  ASSERT_TRUE(next->has_value());
  EXPECT_EQ((*next)->clip_index, 1);
  EXPECT_EQ((*next)->ready_since, now_);
  EXPECT_FALSE((*next)->leased());
  // None is left when all prompts are used up, and when the video has ended, or never was.
  MakeOne("b", 1);
  EXPECT_EQ(Get("b").state(), v1::VIDEO_STATE_WAITING);
  for (const char* id : {"b", "c", "none"}) EXPECT_FALSE(store_->FindCurrentClip(id)->has_value()) << id;
}

TEST_P(JobStoreConformance, ServedClipsAreListedNewestFirst) {
  NewVideo video = MakeVideo("v", {"one", "two"});
  video.tenant = "acme";
  Create(video);
  Create("w");
  MakeOne("v", 0);
  const absl::Time first_done = now_;
  MakeOne("w", 0);
  MakeOne("v", 1);
  const auto served = store_->ListServedClips(first_done, 10);
  ASSERT_TRUE(served.ok()) << served.status();
  ASSERT_EQ(served->size(), 3);
  EXPECT_EQ((*served)[0].video_id, "v");
  EXPECT_EQ((*served)[0].tenant, "acme");
  EXPECT_EQ((*served)[0].done_at, now_);
  EXPECT_EQ((*served)[0].leased_at, now_ - absl::Seconds(1));
  EXPECT_EQ((*served)[1].tenant, "default");
  EXPECT_EQ((*served)[2].done_at, first_done);
  EXPECT_EQ(store_->ListServedClips(first_done + absl::Microseconds(1), 10)->size(), 2);
  EXPECT_EQ(store_->ListServedClips(first_done, 1)->size(), 1);
}

TEST_P(JobStoreConformance, HeldLeasesAreListed) {
  Create("a");
  Create("b");
  Create("c");
  const Lease lease = Acquire("b", 0).lease;
  const absl::StatusOr<std::vector<JobStore::HeldLease>> held = store_->ListHeldLeases();
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->size(), 1);
  EXPECT_EQ((*held)[0].lease.video_id, "b");
  EXPECT_EQ((*held)[0].lease.clip_index, 0);
  EXPECT_EQ((*held)[0].lease.epoch, lease.epoch);
  EXPECT_EQ((*held)[0].worker, "workers/w1");
}

}  // namespace
}  // namespace svi::server
