// The calls that change nothing.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/queue/sql_job_store.h"
#include "server/queue/sql_reads.h"

namespace svi::server {
namespace {

// A row of list_current_clips or find_current_clip.
CurrentClip ReadCurrentClip(const Statement& row) {
  CurrentClip clip;
  clip.video_id = row.Bytes(0);
  clip.tenant = row.Bytes(1);
  clip.clip_index = static_cast<uint32_t>(row.Int(2));
  clip.clips_total = static_cast<uint32_t>(row.Int(3));
  clip.more_may_come = row.Int(4) == 0;
  clip.priority = static_cast<int32_t>(row.Int(5));
  clip.ready_since = absl::FromUnixMicros(row.Int(6));
  clip.video_created = absl::FromUnixMicros(row.Int(7));
  clip.loras = absl::StrSplit(row.Bytes(8), ',', absl::SkipEmpty());
  if (static_cast<ClipState>(row.Int(9)) != ClipState::kLeased) return clip;
  clip.worker = row.Bytes(10);
  clip.leased_at = row.IsNull(11) ? clip.ready_since : absl::FromUnixMicros(row.Int(11));
  return clip;
}

}  // namespace

absl::StatusOr<v1::Video> SqlJobStore::GetVideo(const std::string& id) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<v1::Video> {
    SVI_ASSIGN_OR_RETURN(const VideoRow row, LoadVideo(db, id));
    v1::Video video = ToVideo(row);
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_done_clips", id), [&](const Statement& clip) {
      return ParseStored(clip.Bytes(0), *video.add_clips());
    }));
    return video;
  });
}

absl::StatusOr<std::string> SqlJobStore::TenantOf(const std::string& id) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::string> {
    Statement video = db.Query("tenant_of_video", id);
    SVI_ASSIGN_OR_RETURN(const bool found, video.Step());
    if (!found) return NoSuchVideo(id);
    return video.Bytes(0);
  });
}

absl::StatusOr<VideoPage> SqlJobStore::ListVideos(const std::string& tenant,
                                                  const std::vector<v1::VideoState>& states, int limit,
                                                  const std::optional<Position>& after) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<VideoPage> {
    VideoPage page;
    SVI_ASSIGN_OR_RETURN(const std::vector<VideoRow> rows,
                         ReadPage<VideoRow>(db, {"list_videos", "list_videos_of_state"}, tenant, states,
                                            limit, after, ReadVideoRow, &page.next));
    for (const VideoRow& row : rows) page.videos.push_back(ToVideo(row));
    return page;
  });
}

absl::StatusOr<std::vector<v1::VideoEvent>> SqlJobStore::ListEvents(const std::string& id, uint64_t after,
                                                                    int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<v1::VideoEvent>> {
    Statement video = db.Query("video_exists", id);
    SVI_ASSIGN_OR_RETURN(const bool found, video.Step());
    if (!found) return NoSuchVideo(id);
    return ReadEvents<v1::VideoEvent>(db, "list_events", id, after, limit);
  });
}

absl::StatusOr<FinishedClip> SqlJobStore::GetClip(const std::string& id, uint32_t index) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<FinishedClip> {
    SVI_ASSIGN_OR_RETURN(std::optional<ClipRow> clip, LoadClip(db, id, index));
    if (!clip.has_value() || clip->state != ClipState::kDone) {
      return absl::NotFoundError(absl::StrCat("there is no clip videos/", id, "/clips/", index));
    }
    return std::move(clip->finished);
  });
}

absl::StatusOr<std::vector<CurrentClip>> SqlJobStore::ListCurrentClips(const std::string& after, int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<CurrentClip>> {
    std::vector<CurrentClip> clips;
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_current_clips", after, limit), [&](const Statement& row) {
      clips.push_back(ReadCurrentClip(row));
      return absl::OkStatus();
    }));
    return clips;
  });
}

absl::StatusOr<std::optional<CurrentClip>> SqlJobStore::FindCurrentClip(const std::string& id) {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::optional<CurrentClip>> {
    Statement row = db.Query("find_current_clip", id);
    SVI_ASSIGN_OR_RETURN(const bool found, row.Step());
    return found ? std::optional(ReadCurrentClip(row)) : std::nullopt;
  });
}

absl::StatusOr<std::vector<ServedClip>> SqlJobStore::ListServedClips(absl::Time since, int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<ServedClip>> {
    std::vector<ServedClip> clips;
    SVI_RETURN_IF_ERROR(
        ForEachRow(db.Query("list_served_clips", ToMicros(since), limit), [&](const Statement& row) {
          clips.push_back({row.Bytes(0), row.Bytes(1), absl::FromUnixMicros(row.Int(2)),
                           absl::FromUnixMicros(row.Int(3))});
          return absl::OkStatus();
        }));
    return clips;
  });
}

absl::StatusOr<std::vector<JobStore::HeldLease>> SqlJobStore::ListHeldLeases() {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<std::vector<HeldLease>> {
    std::vector<HeldLease> leases;
    SVI_RETURN_IF_ERROR(ForEachRow(db.Query("list_held_leases"), [&](const Statement& row) {
      HeldLease& held = leases.emplace_back();
      held.lease.video_id = row.Bytes(0);
      held.lease.clip_index = static_cast<uint32_t>(row.Int(1));
      held.lease.epoch = static_cast<uint64_t>(row.Int(2));
      held.worker = row.Bytes(3);
      return absl::OkStatus();
    }));
    return leases;
  });
}

absl::StatusOr<JobStore::Counts> SqlJobStore::Count() {
  return pool_->Read([&](SqlDb& db) -> absl::StatusOr<Counts> {
    Counts counts;
    SVI_RETURN_IF_ERROR(CountStates(db.Query("count_videos"), v1::VIDEO_STATE_QUEUED,
                                    v1::VIDEO_STATE_CANCELLED, counts.videos));
    Statement leasable = db.Query("count_leasable");
    SVI_RETURN_IF_ERROR(leasable.Step().status());
    counts.leasable_clips = leasable.Int(0);
    return counts;
  });
}

}  // namespace svi::server
