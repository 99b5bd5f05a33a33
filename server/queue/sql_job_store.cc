// The calls that clients make to change a video.
#include "server/queue/sql_job_store.h"

#include "absl/strings/str_cat.h"
#include "server/queue/plan.h"
#include "server/queue/sql_reads.h"

namespace svi::server {
namespace {

absl::Status InsertVideo(SqlDb& db, const VideoRow& row) {
  SVI_RETURN_IF_ERROR(db.Query("insert_video", row.id, row.tenant, static_cast<int>(row.state),
                               row.spec.priority(), row.finished, row.revision, row.clips_done,
                               row.clips_total, row.last_sequence, std::optional<Blob>(), row.create_time_us,
                               row.update_time_us, row.end_time_us, row.image.key, row.image.size,
                               Blob{row.image.sha256})
                          .Run());
  const std::string spec = row.spec.SerializeAsString();
  return db.Query("insert_spec", row.id, Blob{spec}).Run();
}

// RESOURCE_EXHAUSTED if the rows of `count`, which counts up to `limit`, reach it.
absl::Status CheckBelow(Statement count, uint32_t limit, absl::string_view whose) {
  if (limit == 0) return absl::OkStatus();
  SVI_RETURN_IF_ERROR(count.Step().status());
  if (count.Int(0) < limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(whose, " videos that have not ended have reached their limit of ", limit));
}

absl::Status CheckLimits(SqlDb& db, const NewVideo& video) {
  absl::Status status = CheckBelow(db.Query("count_active_of_tenant", video.tenant, video.max_tenant_videos),
                                   video.max_tenant_videos, "the tenant's");
  if (absl::IsResourceExhausted(status)) status.SetPayload(kTenantLimitPayload, absl::Cord());
  if (!status.ok()) return status;
  return CheckBelow(db.Query("count_active", video.max_videos), video.max_videos, "the server's");
}

absl::Status CheckRevision(const VideoRow& video, std::optional<uint64_t> expected) {
  if (!expected.has_value() || *expected == video.revision) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("expected_revision is ", *expected, ", the video's is ", video.revision));
}

v1::VideoEvent PromptsChanged(const VideoRow& video) {
  v1::VideoEvent event;
  event.mutable_prompts_changed()->set_revision(video.revision);
  event.mutable_prompts_changed()->set_clips_total(video.clips_total);
  event.mutable_prompts_changed()->set_finished(video.finished);
  return event;
}

absl::Status CheckAppend(const VideoRow& video, size_t count) {
  if (IsFinal(video.state)) {
    return absl::FailedPreconditionError(absl::StrCat("the video has ended: ", StateName(video.state)));
  }
  if (!video.spec.open_ended()) return absl::FailedPreconditionError("the video is not open_ended");
  if (video.finished) return absl::FailedPreconditionError("the video is finished: no more prompts may come");
  if (count == 0) return absl::InvalidArgumentError("prompts: at least one is needed");
  if (video.spec.prompts_size() + count > kMaxPrompts) {
    return absl::InvalidArgumentError(absl::StrCat("prompts: ", video.spec.prompts_size(), " + ", count,
                                                   " are more than the limit of ", kMaxPrompts));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Video> SqlJobStore::CreateVideo(const NewVideo& video, absl::Time now, bool* replayed) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    *replayed = false;
    SVI_ASSIGN_OR_RETURN(
        const std::optional<std::string> earlier,
        FindReplayed(db, "find_request_id", video.tenant, video.request_id, video.request_hash));
    if (earlier.has_value()) {
      *replayed = true;
      SVI_ASSIGN_OR_RETURN(const VideoRow made, LoadVideo(db, *earlier));
      return ToVideo(made);
    }
    VideoRow row;
    row.id = video.id;
    row.tenant = video.tenant;
    row.spec = video.spec;
    row.spec.clear_image();
    row.finished = !row.spec.open_ended();
    row.revision = 1;
    row.clips_total = PlannedClips(row.spec);
    row.create_time_us = row.update_time_us = ToMicros(now);
    row.image = video.image;
    if (row.clips_total == 0) return absl::InvalidArgumentError("the video has no clips");
    {
      Statement taken = db.Query("video_exists", row.id);
      SVI_ASSIGN_OR_RETURN(const bool found, taken.Step());
      if (found) return absl::AlreadyExistsError("the id of the video is taken");
    }
    SVI_RETURN_IF_ERROR(CheckLimits(db, video));
    SVI_RETURN_IF_ERROR(InsertVideo(db, row));
    if (!video.request_id.empty()) {
      SVI_RETURN_IF_ERROR(
          db.Query("insert_request_id", video.tenant, video.request_id, Blob{video.request_hash}, row.id)
              .Run());
    }
    VideoChange change(db, std::move(row), now);
    SVI_RETURN_IF_ERROR(change.Move(VideoStep::kCreated).status());
    SVI_RETURN_IF_ERROR(change.AddReadyClip());
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(change.video);
  });
}

absl::StatusOr<v1::Video> SqlJobStore::CancelVideo(const std::string& id, absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_ASSIGN_OR_RETURN(VideoRow row, LockAndLoadVideo(db, id));
    if (IsFinal(row.state)) return ToVideo(row);
    VideoChange change(db, std::move(row), now);
    SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(VideoStep::kCancelled));
    SVI_RETURN_IF_ERROR(change.VoidClip(transition));
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(change.video);
  });
}

absl::StatusOr<std::vector<ArtifactRef>> SqlJobStore::DeleteVideo(const std::string& id) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<std::vector<ArtifactRef>> {
    SVI_ASSIGN_OR_RETURN(const VideoRow row, LockAndLoadVideo(db, id));
    if (!IsFinal(row.state)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the video is ", StateName(row.state), ": cancel it before it is deleted"));
    }
    std::vector<ArtifactRef> artifacts;
    if (!row.image.key.empty()) artifacts.push_back(row.image);
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_artifacts", id), [&](const Statement& clip) {
      for (const int column : {0, 3}) {
        if (!clip.IsNull(column)) artifacts.push_back(ReadArtifact(clip, column));
      }
      return absl::OkStatus();
    }));
    SVI_RETURN_IF_ERROR(db.Query("delete_video", id).Run());
    return artifacts;
  });
}

absl::StatusOr<v1::Video> SqlJobStore::AppendPrompts(const std::string& id,
                                                     const std::vector<std::string>& prompts,
                                                     std::optional<uint64_t> expected_revision,
                                                     absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_ASSIGN_OR_RETURN(VideoRow row, LockAndLoadVideo(db, id));
    SVI_RETURN_IF_ERROR(CheckAppend(row, prompts.size()));
    SVI_RETURN_IF_ERROR(CheckRevision(row, expected_revision));
    VideoChange change(db, std::move(row), now);
    VideoRow& video = change.video;
    for (const std::string& prompt : prompts) video.spec.add_prompts(prompt);
    video.clips_total = PlannedClips(video.spec);
    ++video.revision;
    const std::string spec = video.spec.SerializeAsString();
    SVI_RETURN_IF_ERROR(db.Query("update_spec", Blob{spec}, id).Run());
    SVI_RETURN_IF_ERROR(change.Emit(PromptsChanged(video)));
    SVI_ASSIGN_OR_RETURN(const Transition transition, change.Move(VideoStep::kPromptsAppended));
    if (transition.clip_from == ClipState::kNone) SVI_RETURN_IF_ERROR(change.AddReadyClip());
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(video);
  });
}

absl::StatusOr<v1::Video> SqlJobStore::FinishVideo(const std::string& id,
                                                   std::optional<uint64_t> expected_revision,
                                                   absl::Time now) {
  return pool_->Write([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_ASSIGN_OR_RETURN(VideoRow row, LockAndLoadVideo(db, id));
    if (row.finished) return ToVideo(row);
    SVI_RETURN_IF_ERROR(CheckRevision(row, expected_revision));
    VideoChange change(db, std::move(row), now);
    change.video.finished = true;
    ++change.video.revision;
    SVI_RETURN_IF_ERROR(change.Emit(PromptsChanged(change.video)));
    SVI_RETURN_IF_ERROR(change.Move(VideoStep::kFinished).status());
    SVI_RETURN_IF_ERROR(change.Save());
    return ToVideo(change.video);
  });
}

}  // namespace svi::server
