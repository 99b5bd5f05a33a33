#include "server/queue/video_rows.h"

#include "absl/strings/str_cat.h"
#include "server/queue/status_macros.h"

namespace svi::server {

int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }

google::protobuf::Timestamp ToTimestamp(int64_t micros) {
  const absl::Time time = absl::FromUnixMicros(micros);
  const int64_t seconds = absl::ToUnixSeconds(time);  // floors, as Timestamp demands
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

absl::Status ParseStored(const std::string& bytes, google::protobuf::Message& message) {
  if (message.ParseFromString(bytes)) return absl::OkStatus();
  return absl::DataLossError("the job store holds a damaged record");
}

absl::Status NoSuchVideo(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no video videos/", id));
}

ArtifactRef ReadArtifact(const Statement& row, int first_column) {
  ArtifactRef artifact;
  if (row.IsNull(first_column)) return artifact;
  artifact.key = row.Bytes(first_column);
  artifact.size = static_cast<uint64_t>(row.Int(first_column + 1));
  artifact.sha256 = row.Bytes(first_column + 2);
  return artifact;
}

absl::StatusOr<VideoRow> ReadVideoRow(const Statement& row) {
  VideoRow video;
  int column = 0;
  video.id = row.Bytes(column++);
  video.tenant = row.Bytes(column++);
  video.state = static_cast<v1::VideoState>(row.Int(column++));
  video.finished = row.Int(column++) != 0;
  video.revision = static_cast<uint64_t>(row.Int(column++));
  video.clips_done = static_cast<uint32_t>(row.Int(column++));
  video.clips_total = static_cast<uint32_t>(row.Int(column++));
  video.last_sequence = static_cast<uint64_t>(row.Int(column++));
  if (!row.IsNull(column)) {
    SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(column), video.error.emplace()));
  }
  ++column;
  video.create_time_us = row.Int(column++);
  video.update_time_us = row.Int(column++);
  if (!row.IsNull(column)) video.end_time_us = row.Int(column);
  ++column;
  video.image = ReadArtifact(row, column);
  column += 3;
  SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(column), video.spec));
  return video;
}

absl::StatusOr<VideoRow> LoadVideo(SqlDb& db, const std::string& id) {
  Statement statement = db.Query("get_video", id);
  SVI_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return NoSuchVideo(id);
  return ReadVideoRow(statement);
}

absl::Status LockVideo(SqlDb& db, const std::string& id) {
  SVI_ASSIGN_OR_RETURN(const bool found, db.Query("lock_video", id).Step());
  return found ? absl::OkStatus() : NoSuchVideo(id);
}

absl::StatusOr<VideoRow> LockAndLoadVideo(SqlDb& db, const std::string& id) {
  SVI_RETURN_IF_ERROR(LockVideo(db, id));
  return LoadVideo(db, id);
}

absl::StatusOr<std::optional<ClipRow>> LoadClip(SqlDb& db, const std::string& id, uint32_t clip_index) {
  Statement row = db.Query("get_clip", id, clip_index);
  SVI_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<ClipRow>();
  ClipRow clip;
  clip.state = static_cast<ClipState>(row.Int(0));
  clip.epoch = static_cast<uint64_t>(row.Int(1));
  clip.attempts = static_cast<uint32_t>(row.Int(2));
  clip.worker = row.Bytes(3);
  if (!row.IsNull(4)) SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(4), clip.finished.clip));
  clip.finished.mp4 = ReadArtifact(row, 5);
  clip.finished.carry = ReadArtifact(row, 8);
  clip.here = row.Int(11) != 0;
  return std::optional<ClipRow>(std::move(clip));
}

v1::Video ToVideo(const VideoRow& row) {
  v1::Video video;
  video.set_name(absl::StrCat("videos/", row.id));
  video.set_state(row.state);
  *video.mutable_spec() = row.spec;
  video.set_clips_done(row.clips_done);
  video.set_clips_total(row.clips_total);
  video.set_revision(row.revision);
  if (row.error.has_value()) *video.mutable_error() = *row.error;
  video.set_last_sequence(row.last_sequence);
  *video.mutable_create_time() = ToTimestamp(row.create_time_us);
  *video.mutable_update_time() = ToTimestamp(row.update_time_us);
  if (row.end_time_us.has_value()) *video.mutable_end_time() = ToTimestamp(*row.end_time_us);
  video.set_finished(row.finished);
  video.set_tenant(row.tenant);
  return video;
}

}  // namespace svi::server
