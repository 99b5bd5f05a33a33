// Leases: the calls that the server makes on behalf of workers.
#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/queue/plan.h"
#include "server/queue/sql_job_store.h"

namespace svi::server {
namespace {

// Fences off whoever does not hold the clip now, and the server that another has taken its lease from.
// NOT_FOUND: no such video or clip. ABORTED: not the current lease.
absl::StatusOr<ClipRow> LoadLeasedClip(SqlDb& db, const Lease& lease) {
  SVI_ASSIGN_OR_RETURN(std::optional<ClipRow> clip, LoadClip(db, lease.video_id, lease.clip_index));
  if (!clip.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("there is no clip videos/", lease.video_id, "/clips/", lease.clip_index));
  }
  if (clip->state != ClipState::kLeased || clip->epoch != lease.epoch || !clip->here) {
    return absl::AbortedError(
        absl::StrCat("the lease of epoch ", lease.epoch, " is not the clip's current one"));
  }
  return *std::move(clip);
}

v1::Clip CompleteClip(const VideoRow& video, const Lease& lease, const ClipRow& row, v1::Clip clip,
                      int64_t now_us) {
  clip.set_name(absl::StrCat("videos/", video.id, "/clips/", lease.clip_index));
  clip.set_index(lease.clip_index);
  clip.set_prompt(PromptOfClip(video.spec, lease.clip_index));
  clip.set_seed(SeedOfClip(video.spec, lease.clip_index));
  clip.set_attempt(row.attempts);
  *clip.mutable_create_time() = ToTimestamp(now_us);
  return clip;
}

VideoStep StepAfterCommit(const VideoRow& video) {
  if (video.clips_done < video.clips_total) return VideoStep::kClipCommitted;
  // At its num_clips an open-ended video is complete: prompts that may still come would make no clip.
  if (!video.finished && video.clips_done < MostClips(video.spec)) return VideoStep::kPromptsUsedUp;
  return VideoStep::kLastClipCommitted;
}

absl::Status StoreClip(SqlDb& db, const Lease& lease, const Transition& transition, const v1::Clip& clip,
                       const FinishedClip& finished, int64_t now_us) {
  const std::string bytes = clip.SerializeAsString();
  return ExpectOneChange(db.Query("finish_clip", static_cast<int>(transition.clip_to), Blob{bytes},
                                  finished.mp4.key, finished.mp4.size, Blob{finished.mp4.sha256},
                                  finished.carry.key, finished.carry.size, Blob{finished.carry.sha256},
                                  now_us, lease.video_id, lease.clip_index,
                                  static_cast<int>(transition.clip_from))
                             .RunAndCountChanges());
}

// The carry of the clip before has served. Returns it, unless it is gone already.
absl::StatusOr<std::optional<ArtifactRef>> DropCarryBefore(SqlDb& db, const Lease& lease) {
  if (lease.clip_index == 0) return std::optional<ArtifactRef>();
  const uint32_t index = lease.clip_index - 1;
  SVI_ASSIGN_OR_RETURN(const std::optional<ClipRow> before, LoadClip(db, lease.video_id, index));
  if (!before.has_value() || before->finished.carry.key.empty()) return std::optional<ArtifactRef>();
  SVI_RETURN_IF_ERROR(db.Query("drop_carry", lease.video_id, index).Run());
  return std::optional<ArtifactRef>(before->finished.carry);
}

v1::VideoEvent ClipStarted(const Lease& lease, const std::string& worker, uint32_t attempt) {
  v1::VideoEvent event;
  event.mutable_clip_started()->set_clip_index(lease.clip_index);
  event.mutable_clip_started()->set_worker(worker);
  event.mutable_clip_started()->set_attempt(attempt);
  return event;
}

v1::VideoEvent AttemptFailed(const Lease& lease, const ClipRow& clip,
                             const JobStore::FailedAttempt& failure) {
  v1::VideoEvent event;
  v1::ClipAttemptFailed& failed = *event.mutable_clip_attempt_failed();
  failed.set_clip_index(lease.clip_index);
  failed.set_attempt(clip.attempts);
  failed.set_max_attempts(failure.max_attempts);
  *failed.mutable_error() = failure.error;
  return event;
}

}  // namespace

absl::StatusOr<LeasedClip> SqlJobStore::AcquireLease(const std::string& id, uint32_t clip_index,
                                                     const std::string& worker, absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<LeasedClip> {
    SVI_ASSIGN_OR_RETURN(const bool free, db.Query("try_lock_video", id).Step());
    SVI_ASSIGN_OR_RETURN(VideoRow row, LoadVideo(db, id));
    // Most likely another server leases it just now; there are others to take.
    if (!free) return absl::FailedPreconditionError("the video is being changed");
    SVI_ASSIGN_OR_RETURN(std::optional<ClipRow> clip, LoadClip(db, id, clip_index));
    if (!clip.has_value() && clip_index >= row.clips_total) {
      return absl::NotFoundError(absl::StrCat("there is no clip videos/", id, "/clips/", clip_index));
    }
    if (!clip.has_value() || clip->state != ClipState::kReady) {
      return absl::FailedPreconditionError("the clip is not waiting for a worker");
    }
    LeasedClip leased;
    leased.lease = {id, clip_index, clip->epoch + 1};
    leased.attempt = clip->attempts + 1;
    leased.spec = row.spec;
    leased.image = row.image;
    if (clip_index > 0) {
      SVI_ASSIGN_OR_RETURN(const std::optional<ClipRow> before, LoadClip(db, id, clip_index - 1));
      if (before.has_value() && !before->finished.carry.key.empty()) leased.carry = before->finished.carry;
    }
    VideoChange change(db, std::move(row), now);
    SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(VideoStep::kClipLeased));
    SVI_RETURN_IF_ERROR(
        ExpectOneChange(db.Query("lease_clip", static_cast<int>(transition.clip_to), worker, change.now_us(),
                                 id, clip_index, static_cast<int>(transition.clip_from))
                            .RunAndCountChanges()));
    SVI_RETURN_IF_ERROR(change.Emit(ClipStarted(leased.lease, worker, leased.attempt)));
    SVI_RETURN_IF_ERROR(change.Save());
    return leased;
  });
}

absl::Status SqlJobStore::CheckLease(const Lease& lease) {
  return pool_->Read([&](SqlDb& db) -> absl::Status { return LoadLeasedClip(db, lease).status(); });
}

absl::Status SqlJobStore::ClaimLease(const Lease& lease, const std::string& worker) {
  return pool_->Write([&](SqlDb& db) -> absl::Status {
    SVI_ASSIGN_OR_RETURN(
        const int claimed,
        db.Query("claim_clip", lease.video_id, lease.clip_index, lease.epoch, worker).RunAndCountChanges());
    return claimed == 1 ? absl::OkStatus() : absl::AbortedError("the lease is not the worker's current one");
  });
}

absl::StatusOr<v1::Video> SqlJobStore::CommitClip(const Lease& lease, const FinishedClip& clip,
                                                  absl::Time now, std::vector<ArtifactRef>* obsolete) {
  std::vector<ArtifactRef> unused;
  absl::StatusOr<v1::Video> video = pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_RETURN_IF_ERROR(LockVideo(db, lease.video_id));
    SVI_ASSIGN_OR_RETURN(const ClipRow leased, LoadLeasedClip(db, lease));
    SVI_ASSIGN_OR_RETURN(VideoRow row, LoadVideo(db, lease.video_id));
    VideoChange change(db, std::move(row), now);
    const v1::Clip done = CompleteClip(change.video, lease, leased, clip.clip, change.now_us());
    ++change.video.clips_done;
    v1::VideoEvent event;
    *event.mutable_clip_done() = done;
    SVI_RETURN_IF_ERROR(change.Emit(std::move(event)));
    SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(StepAfterCommit(change.video)));
    SVI_RETURN_IF_ERROR(StoreClip(db, lease, transition, done, clip, change.now_us()));
    unused.clear();  // of an earlier try
    SVI_ASSIGN_OR_RETURN(std::optional<ArtifactRef> carry_before, DropCarryBefore(db, lease));
    if (carry_before.has_value()) unused.push_back(*std::move(carry_before));
    if (IsFinal(transition.to)) {
      SVI_RETURN_IF_ERROR(db.Query("drop_carry", lease.video_id, lease.clip_index).Run());
      unused.push_back(clip.carry);
    }
    if (transition.to == v1::VIDEO_STATE_QUEUED) SVI_RETURN_IF_ERROR(change.AddReadyClip());
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(change.video);
  });
  // Only when it is durable: the caller deletes these files.
  if (video.ok()) std::move(unused.begin(), unused.end(), std::back_inserter(*obsolete));
  return video;
}

absl::StatusOr<v1::Video> SqlJobStore::FailLease(const Lease& lease, const FailedAttempt& failure,
                                                 absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_RETURN_IF_ERROR(LockVideo(db, lease.video_id));
    SVI_ASSIGN_OR_RETURN(const ClipRow clip, LoadLeasedClip(db, lease));
    SVI_ASSIGN_OR_RETURN(VideoRow row, LoadVideo(db, lease.video_id));
    VideoChange change(db, std::move(row), now);
    const bool for_good =
        !failure.handed_back && (failure.permanent || clip.attempts >= failure.max_attempts);
    if (!failure.handed_back) SVI_RETURN_IF_ERROR(change.Emit(AttemptFailed(lease, clip, failure)));
    if (for_good) {
      change.video.error = failure.error;
      SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(VideoStep::kAttemptFailedForGood));
      SVI_RETURN_IF_ERROR(change.VoidClip(transition));
    } else {
      SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(VideoStep::kAttemptEnded));
      const uint32_t attempts = failure.handed_back ? clip.attempts - 1 : clip.attempts;
      SVI_RETURN_IF_ERROR(ExpectOneChange(db.Query("put_back_clip", static_cast<int>(transition.clip_to),
                                                   attempts, change.now_us(), lease.video_id,
                                                   lease.clip_index, static_cast<int>(transition.clip_from))
                                              .RunAndCountChanges()));
    }
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(change.video);
  });
}

}  // namespace svi::server
