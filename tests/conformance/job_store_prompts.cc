// Conformance: appended prompts and FinishVideo.
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "tests/conformance/job_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::IsEmpty;

NewVideo OpenEnded(NewVideo video) {
  video.spec.set_open_ended(true);
  return video;
}

TEST_P(JobStoreConformance, AnOpenEndedVideoWaitsForPromptsUntilItIsFinished) {
  Create(OpenEnded(MakeVideo("v")));
  v1::Video video = MakeOne("v", 0);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_WAITING);
  EXPECT_FALSE(video.has_end_time());
  EXPECT_THAT(LeasableIds(), IsEmpty());

  absl::StatusOr<v1::Video> appended = store_->AppendPrompts("v", {"b", "c"}, 1, Now());
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_EQ(appended->state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(appended->revision(), 2);
  EXPECT_EQ(appended->clips_total(), 3);
  EXPECT_THAT(appended->spec().prompts(), ElementsAre("a cat", "b", "c"));
  EXPECT_TRUE(MessageDifferencer::Equals(appended->spec(), Get("v").spec()));
  EXPECT_THAT(LeasableIds(), ElementsAre("v:1"));
  const LeasedClip leased = Acquire("v", 1);
  EXPECT_EQ(leased.spec.prompts_size(), 3);
  ASSERT_TRUE(leased.carry.has_value());
  Commit(leased.lease);
  EXPECT_EQ(Get("v").clips(1).prompt(), "b");
  EXPECT_EQ(MakeOne("v", 2).state(), v1::VIDEO_STATE_WAITING);

  const absl::StatusOr<v1::Video> finished = store_->FinishVideo("v", 2, Now());
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_TRUE(finished->finished());
  EXPECT_TRUE(finished->has_end_time());
  EXPECT_EQ(finished->revision(), 3);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "RUNNING", "started 0", "done 0", "WAITING", "prompts",
                                    "QUEUED", "RUNNING", "started 1", "done 1", "QUEUED", "RUNNING",
                                    "started 2", "done 2", "WAITING", "prompts", "SUCCEEDED"));
  const v1::PromptsChanged changed = Events("v")[5].prompts_changed();
  EXPECT_EQ(changed.revision(), 2);
  EXPECT_EQ(changed.clips_total(), 3);
  EXPECT_FALSE(changed.finished());
  EXPECT_TRUE(Events("v")[15].prompts_changed().finished());
}

TEST_P(JobStoreConformance, PromptsCanBeAppendedWhileQueuedOrRunning) {
  Create(OpenEnded(MakeVideo("v")));
  ASSERT_TRUE(store_->AppendPrompts("v", {"b"}, {}, Now()).ok());
  const Lease lease = Acquire("v", 0).lease;
  const absl::StatusOr<v1::Video> appended = store_->AppendPrompts("v", {"c"}, {}, Now());
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_EQ(appended->state(), v1::VIDEO_STATE_RUNNING);
  EXPECT_TRUE(store_->CheckLease(lease).ok());
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "prompts", "RUNNING", "started 0", "prompts"));
  EXPECT_EQ(Commit(lease).state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(Get("v").clips_total(), 3);
}

TEST_P(JobStoreConformance, AVideoFinishedEarlySucceedsWithItsLastClip) {
  Create(OpenEnded(MakeVideo("v", {"a", "b"})));
  const Lease lease = Acquire("v", 0).lease;
  const absl::StatusOr<v1::Video> finished = store_->FinishVideo("v", {}, Now());
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->state(), v1::VIDEO_STATE_RUNNING);
  EXPECT_TRUE(finished->finished());
  EXPECT_EQ(Commit(lease).state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(MakeOne("v", 1).state(), v1::VIDEO_STATE_SUCCEEDED);
}

TEST_P(JobStoreConformance, FinishIsIdempotent) {
  Create(OpenEnded(MakeVideo("v")));
  const absl::StatusOr<v1::Video> first = store_->FinishVideo("v", 1, Now());
  ASSERT_TRUE(first.ok()) << first.status();
  // The replay carries the revision of before.
  const absl::StatusOr<v1::Video> again = store_->FinishVideo("v", 1, Now());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*first, *again));
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "prompts"));
}

TEST_P(JobStoreConformance, FinishOfWhatWasNeverOpenOrHasEndedChangesNothing) {
  const v1::Video closed = Create("closed");
  const absl::StatusOr<v1::Video> finished = store_->FinishVideo("closed", {}, Now());
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_TRUE(MessageDifferencer::Equals(closed, *finished));
  Create(OpenEnded(MakeVideo("v")));
  ASSERT_TRUE(store_->CancelVideo("v", Now()).ok());
  const absl::StatusOr<v1::Video> cancelled = store_->FinishVideo("v", {}, Now());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_THAT(Log("v"), ElementsAre("QUEUED", "CANCELLED"));
}

TEST_P(JobStoreConformance, AWaitingVideoCanBeCancelled) {
  Create(OpenEnded(MakeVideo("v")));
  MakeOne("v", 0);
  const absl::StatusOr<v1::Video> cancelled = store_->CancelVideo("v", Now());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_TRUE(cancelled->finished());
  EXPECT_EQ(Get("v").clips_size(), 1);
}

TEST_P(JobStoreConformance, AWrongRevisionIsAborted) {
  Create(OpenEnded(MakeVideo("v")));
  EXPECT_EQ(store_->AppendPrompts("v", {"b"}, 2, Now()).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store_->FinishVideo("v", 0, Now()).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Get("v").revision(), 1);
  EXPECT_EQ(Get("v").spec().prompts_size(), 1);
  ASSERT_TRUE(store_->AppendPrompts("v", {"b"}, 1, Now()).ok());
  // Of two who saw the same revision, one wins.
  EXPECT_EQ(store_->AppendPrompts("v", {"b"}, 1, Now()).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Get("v").spec().prompts_size(), 2);
}

TEST_P(JobStoreConformance, AppendIsRefusedWhenNoMorePromptsMayCome) {
  Create("closed");
  EXPECT_EQ(store_->AppendPrompts("closed", {"b"}, {}, Now()).status().code(),
            StatusCode::kFailedPrecondition);
  Create(OpenEnded(MakeVideo("finished")));
  ASSERT_TRUE(store_->FinishVideo("finished", {}, Now()).ok());
  EXPECT_EQ(store_->AppendPrompts("finished", {"b"}, {}, Now()).status().code(),
            StatusCode::kFailedPrecondition);
  Create(OpenEnded(MakeVideo("ended")));
  ASSERT_TRUE(store_->CancelVideo("ended", Now()).ok());
  EXPECT_EQ(store_->AppendPrompts("ended", {"b"}, {}, Now()).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get("ended").spec().prompts_size(), 1);
}

TEST_P(JobStoreConformance, PromptsAreLimitedInAll) {
  Create(OpenEnded(MakeVideo("v")));
  EXPECT_EQ(store_->AppendPrompts("v", {}, {}, Now()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->AppendPrompts("v", std::vector<std::string>(1024, "x"), {}, Now()).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("v").spec().prompts_size(), 1);
  const absl::StatusOr<v1::Video> full =
      store_->AppendPrompts("v", std::vector<std::string>(1023, "x"), {}, Now());
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->clips_total(), 1024);
}

TEST_P(JobStoreConformance, NumClipsCapsAnOpenEndedVideo) {
  NewVideo video = OpenEnded(MakeVideo("v"));
  video.spec.set_num_clips(2);
  Create(video);
  EXPECT_EQ(MakeOne("v", 0).state(), v1::VIDEO_STATE_WAITING);
  const absl::StatusOr<v1::Video> appended = store_->AppendPrompts("v", {"b", "c", "d"}, {}, Now());
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_EQ(appended->clips_total(), 2);
  // The cap is reached: it need not be finished first.
  const v1::Video done = MakeOne("v", 1);
  EXPECT_EQ(done.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_TRUE(done.finished());
}

TEST_P(JobStoreConformance, PromptsOfClips) {
  NewVideo video = MakeVideo("v", {"a", "b"});
  video.spec.set_clips_per_prompt(2);
  Create(video);
  NewVideo shot = MakeVideo("shot", {"a", "b"});
  shot.spec.set_variant(v1::VARIANT_SHOT);
  shot.spec.set_num_clips(3);
  Create(shot);
  for (uint32_t i = 0; i < 4; ++i) MakeOne("v", i);
  for (uint32_t i = 0; i < 3; ++i) MakeOne("shot", i);
  const auto prompts = [&](const std::string& id) {
    std::string text;
    const v1::Video video = Get(id);
    for (const v1::Clip& clip : video.clips()) absl::StrAppend(&text, clip.prompt());
    return text;
  };
  EXPECT_EQ(prompts("v"), "aabb");
  EXPECT_EQ(prompts("shot"), "aaa");
}

}  // namespace
}  // namespace svi::server
