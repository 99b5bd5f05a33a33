#include "tests/conformance/job_store_conformance.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace svi::server {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(JobStoreConformance);

void JobStoreConformance::SetUp() {
  database_ = GetParam().make();
  Reopen();
}

void JobStoreConformance::Reopen() {
  store_ = nullptr;
  absl::StatusOr<std::unique_ptr<JobStore>> store = database_->Open();
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

NewVideo JobStoreConformance::MakeVideo(const std::string& id, const std::vector<std::string>& prompts) {
  NewVideo video;
  video.id = id;
  for (const std::string& prompt : prompts) video.spec.add_prompts(prompt);
  video.image = {absl::StrCat(id, "/image"), 1234, std::string(32, '\x07')};
  return video;
}

v1::Video JobStoreConformance::Create(const NewVideo& video) {
  bool replayed = true;
  absl::StatusOr<v1::Video> created = store_->CreateVideo(video, Now(), &replayed);
  EXPECT_TRUE(created.ok()) << created.status();
  EXPECT_FALSE(replayed);
  return created.ok() ? *created : v1::Video();
}

LeasedClip JobStoreConformance::Acquire(const std::string& id, uint32_t clip) {
  absl::StatusOr<LeasedClip> leased = store_->AcquireLease(id, clip, "workers/w1", Now());
  EXPECT_TRUE(leased.ok()) << leased.status();
  return leased.ok() ? *leased : LeasedClip();
}

FinishedClip JobStoreConformance::MakeClip(const Lease& lease) {
  FinishedClip clip;
  const std::string stem = absl::StrCat(lease.video_id, "/clip-", lease.clip_index, ".e", lease.epoch);
  clip.mp4 = {stem + ".mp4", 1000 + lease.clip_index, std::string(32, '\x01')};
  clip.carry = {stem + ".carry", 2000 + lease.clip_index, std::string(32, '\x02')};
  clip.clip.set_frame_count(81);
  clip.clip.set_width(64);
  clip.clip.set_height(32);
  clip.clip.set_fps(24);
  clip.clip.set_size_bytes(clip.mp4.size);
  clip.clip.set_sha256(clip.mp4.sha256);
  clip.clip.set_worker("workers/w1");
  clip.clip.mutable_denoise_time()->set_seconds(7);
  return clip;
}

v1::Video JobStoreConformance::Commit(const Lease& lease) {
  std::vector<ArtifactRef> obsolete;
  absl::StatusOr<v1::Video> video = store_->CommitClip(lease, MakeClip(lease), Now(), &obsolete);
  EXPECT_TRUE(video.ok()) << video.status();
  // The carry of the clip before; after the last clip its own, too.
  const size_t own = video.ok() && video->state() == v1::VIDEO_STATE_SUCCEEDED ? 1 : 0;
  EXPECT_EQ(obsolete.size(), (lease.clip_index == 0 ? 0 : 1) + own);
  return video.ok() ? *video : v1::Video();
}

v1::Video JobStoreConformance::Get(const std::string& id) {
  absl::StatusOr<v1::Video> video = store_->GetVideo(id);
  EXPECT_TRUE(video.ok()) << video.status();
  return video.ok() ? *video : v1::Video();
}

std::vector<v1::VideoEvent> JobStoreConformance::Events(const std::string& id, uint64_t after) {
  absl::StatusOr<std::vector<v1::VideoEvent>> events = store_->ListEvents(id, after, 100'000);
  EXPECT_TRUE(events.ok()) << events.status();
  return events.ok() ? *events : std::vector<v1::VideoEvent>();
}

std::vector<std::string> JobStoreConformance::Log(const std::string& id) {
  std::vector<std::string> log;
  uint64_t expected = 0;
  for (const v1::VideoEvent& event : Events(id)) {
    EXPECT_EQ(event.sequence(), ++expected);
    EXPECT_GT(event.time().seconds(), 0);
    if (event.has_state_changed()) {
      log.push_back(v1::VideoState_Name(event.state_changed().state()).substr(sizeof("VIDEO_STATE_") - 1));
    } else if (event.has_clip_started()) {
      log.push_back(absl::StrCat("started ", event.clip_started().clip_index()));
    } else if (event.has_clip_done()) {
      log.push_back(absl::StrCat("done ", event.clip_done().index()));
    } else if (event.has_clip_attempt_failed()) {
      log.push_back(absl::StrCat("failed ", event.clip_attempt_failed().clip_index()));
    } else {
      log.push_back(event.has_prompts_changed() ? "prompts" : "?");
    }
  }
  EXPECT_EQ(Get(id).last_sequence(), expected);
  return log;
}

std::vector<CurrentClip> JobStoreConformance::CurrentClips(int limit) {
  absl::StatusOr<std::vector<CurrentClip>> clips = store_->ListCurrentClips("", limit);
  EXPECT_TRUE(clips.ok()) << clips.status();
  return clips.ok() ? *std::move(clips) : std::vector<CurrentClip>();
}

std::vector<std::string> JobStoreConformance::LeasableIds(int limit) {
  std::vector<CurrentClip> clips = CurrentClips(limit);
  std::erase_if(clips, [](const CurrentClip& clip) { return clip.leased(); });
  std::sort(clips.begin(), clips.end(), [](const CurrentClip& a, const CurrentClip& b) {
    return std::tie(b.priority, a.ready_since, a.video_id) < std::tie(a.priority, b.ready_since, b.video_id);
  });
  std::vector<std::string> ids;
  for (const CurrentClip& clip : clips) ids.push_back(absl::StrCat(clip.video_id, ":", clip.clip_index));
  return ids;
}

JobStore::FailedAttempt JobStoreConformance::Failed(uint32_t max_attempts) {
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
  failure.error.set_reason("LEASE_EXPIRED");
  failure.error.set_message("The worker went away.");
  failure.max_attempts = max_attempts;
  return failure;
}

}  // namespace svi::server
