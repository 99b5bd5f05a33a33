// The calls that change nothing.
#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/queue/sqlite_job_store_impl.h"

namespace svi::server {
namespace {

using Position = std::pair<int64_t, std::string>;

absl::Status AppendVideos(Statement rows, std::vector<VideoRow>& videos) {
  while (true) {
    SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    SVI_ASSIGN_OR_RETURN(VideoRow row, ReadVideoRow(rows));
    videos.push_back(std::move(row));
  }
}

// The first `limit` videos after `after`, newest first. Each state has its own index range; they are merged
// here, so that few running videos are found among very many that have ended.
absl::StatusOr<std::vector<VideoRow>> NewestVideos(SqliteDb& db, const std::vector<v1::VideoState>& states,
                                                   int64_t limit, const Position& after) {
  std::vector<VideoRow> videos;
  if (states.empty()) {
    SVI_RETURN_IF_ERROR(AppendVideos(db.Query("list_videos", after.first, after.second, limit), videos));
    return videos;
  }
  for (const v1::VideoState state : std::set<v1::VideoState>(states.begin(), states.end())) {
    SVI_RETURN_IF_ERROR(AppendVideos(
        db.Query("list_videos_of_state", static_cast<int>(state), after.first, after.second, limit), videos));
  }
  std::sort(videos.begin(), videos.end(), [](const VideoRow& a, const VideoRow& b) {
    return std::tie(a.create_time_us, a.id) > std::tie(b.create_time_us, b.id);
  });
  if (videos.size() > static_cast<size_t>(limit)) videos.resize(limit);
  return videos;
}

// The one row of first_leasable_loras or next_leasable_loras.
absl::StatusOr<std::optional<std::string>> LeastLoras(Statement row) {
  SVI_RETURN_IF_ERROR(row.Step().status());
  if (row.IsNull(0)) return std::optional<std::string>();
  return std::optional<std::string>(row.Bytes(0));
}

absl::Status AppendLeasable(SqliteDb& db, const std::string& loras, int limit, std::vector<Leasable>& clips) {
  const std::vector<std::string> names = absl::StrSplit(loras, ',', absl::SkipEmpty());
  Statement rows = db.Query("list_leasable", loras, limit);
  while (true) {
    SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    Leasable& clip = clips.emplace_back();
    clip.video_id = rows.Bytes(0);
    clip.clip_index = static_cast<uint32_t>(rows.Int(1));
    clip.priority = static_cast<int32_t>(rows.Int(2));
    clip.ready_since = absl::FromUnixMicros(rows.Int(3));
    clip.video_created = absl::FromUnixMicros(rows.Int(4));
    clip.loras = names;
  }
}

}  // namespace

absl::StatusOr<v1::Video> SqliteJobStore::GetVideo(const std::string& id) {
  return Read([&](SqliteDb& db) -> absl::StatusOr<v1::Video> {
    SVI_ASSIGN_OR_RETURN(const VideoRow row, LoadVideo(db, id));
    v1::Video video = ToVideo(row);
    Statement clips = db.Query("list_done_clips", id);
    while (true) {
      SVI_ASSIGN_OR_RETURN(const bool more, clips.Step());
      if (!more) return video;
      SVI_RETURN_IF_ERROR(ParseStored(clips.Bytes(0), *video.add_clips()));
    }
  });
}

absl::StatusOr<VideoPage> SqliteJobStore::ListVideos(const std::vector<v1::VideoState>& states, int limit,
                                                     const std::optional<Position>& after) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return Read([&](SqliteDb& db) -> absl::StatusOr<VideoPage> {
    const Position from = after.value_or(Position(std::numeric_limits<int64_t>::max(), ""));
    // One more than asked for tells whether there is another page.
    SVI_ASSIGN_OR_RETURN(std::vector<VideoRow> rows, NewestVideos(db, states, int64_t{limit} + 1, from));
    VideoPage page;
    if (rows.size() > static_cast<size_t>(limit)) {
      rows.resize(limit);
      page.next = Position(rows.back().create_time_us, rows.back().id);
    }
    for (const VideoRow& row : rows) page.videos.push_back(ToVideo(row));
    return page;
  });
}

absl::StatusOr<std::vector<v1::VideoEvent>> SqliteJobStore::ListEvents(const std::string& id, uint64_t after,
                                                                       int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return Read([&](SqliteDb& db) -> absl::StatusOr<std::vector<v1::VideoEvent>> {
    Statement video = db.Query("video_exists", id);
    SVI_ASSIGN_OR_RETURN(const bool found, video.Step());
    if (!found) return NoSuchVideo(id);
    std::vector<v1::VideoEvent> events;
    // A client may ask for more than a signed column can hold; there is nothing beyond it.
    const int64_t from = static_cast<int64_t>(std::min<uint64_t>(after, std::numeric_limits<int64_t>::max()));
    Statement rows = db.Query("list_events", id, from, limit);
    while (true) {
      SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) return events;
      SVI_RETURN_IF_ERROR(ParseStored(rows.Bytes(0), events.emplace_back()));
    }
  });
}

absl::StatusOr<FinishedClip> SqliteJobStore::GetClip(const std::string& id, uint32_t index) {
  return Read([&](SqliteDb& db) -> absl::StatusOr<FinishedClip> {
    SVI_ASSIGN_OR_RETURN(std::optional<ClipRow> clip, LoadClip(db, id, index));
    if (!clip.has_value() || clip->state != ClipState::kDone) {
      return absl::NotFoundError(absl::StrCat("there is no clip videos/", id, "/clips/", index));
    }
    return std::move(clip->finished);
  });
}

absl::StatusOr<std::vector<Leasable>> SqliteJobStore::ListLeasable(int limit) {
  if (limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  return Read([&](SqliteDb& db) -> absl::StatusOr<std::vector<Leasable>> {
    std::vector<Leasable> clips;
    SVI_ASSIGN_OR_RETURN(std::optional<std::string> loras, LeastLoras(db.Query("first_leasable_loras")));
    while (loras.has_value()) {
      SVI_RETURN_IF_ERROR(AppendLeasable(db, *loras, limit, clips));
      SVI_ASSIGN_OR_RETURN(loras, LeastLoras(db.Query("next_leasable_loras", *loras)));
    }
    std::sort(clips.begin(), clips.end(), [](const Leasable& a, const Leasable& b) {
      return std::tie(b.priority, a.ready_since, a.video_id) <
             std::tie(a.priority, b.ready_since, b.video_id);
    });
    return clips;
  });
}

absl::StatusOr<std::vector<JobStore::HeldLease>> SqliteJobStore::ListHeldLeases() {
  return Read([&](SqliteDb& db) -> absl::StatusOr<std::vector<HeldLease>> {
    std::vector<HeldLease> leases;
    Statement rows = db.Query("list_held_leases");
    while (true) {
      SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) return leases;
      HeldLease& held = leases.emplace_back();
      held.lease.video_id = rows.Bytes(0);
      held.lease.clip_index = static_cast<uint32_t>(rows.Int(1));
      held.lease.epoch = static_cast<uint64_t>(rows.Int(2));
      held.worker = rows.Bytes(3);
    }
  });
}

absl::StatusOr<JobStore::Counts> SqliteJobStore::Count() {
  return Read([&](SqliteDb& db) -> absl::StatusOr<Counts> {
    Counts counts;
    // All states, so that a gauge of one that has emptied goes back to 0.
    for (int state = v1::VIDEO_STATE_QUEUED; state <= v1::VIDEO_STATE_CANCELLED; ++state) {
      counts.videos.emplace_back(static_cast<v1::VideoState>(state), 0);
    }
    {
      Statement rows = db.Query("count_videos");
      while (true) {
        SVI_ASSIGN_OR_RETURN(const bool more, rows.Step());
        if (!more) break;
        for (auto& [state, count] : counts.videos) {
          if (state == rows.Int(0)) count = rows.Int(1);
        }
      }
    }
    Statement leasable = db.Query("count_leasable");
    SVI_RETURN_IF_ERROR(leasable.Step().status());
    counts.leasable_clips = leasable.Int(0);
    return counts;
  });
}

}  // namespace svi::server
