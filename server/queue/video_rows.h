// Rows of the job store, and how they become protobuf messages.
#ifndef SVI_SERVER_QUEUE_VIDEO_ROWS_H_
#define SVI_SERVER_QUEUE_VIDEO_ROWS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/queue/job_store.h"
#include "server/queue/sql_db.h"
#include "server/queue/states.h"

namespace svi::server {

// Rows keep microseconds, so that a time read back equals the one that was answered.
[[nodiscard]] int64_t ToMicros(absl::Time time);
[[nodiscard]] google::protobuf::Timestamp ToTimestamp(int64_t micros);

struct VideoRow {
  std::string id;
  std::string tenant;
  v1::VideoState state = v1::VIDEO_STATE_UNSPECIFIED;
  bool finished = false;
  uint64_t revision = 0;
  uint32_t clips_done = 0;
  uint32_t clips_total = 0;
  uint64_t last_sequence = 0;
  std::optional<v1::Failure> error;
  int64_t create_time_us = 0;
  int64_t update_time_us = 0;
  std::optional<int64_t> end_time_us;
  ArtifactRef image;
  v1::VideoSpec spec;
};

struct ClipRow {
  ClipState state = ClipState::kNone;
  uint64_t epoch = 0;
  uint32_t attempts = 0;
  std::string worker;
  bool here = true;       // its lease, if it has one, is this server's
  FinishedClip finished;  // empty until DONE; the carry goes when the next clip is done
};

// Reads a row of get_video, list_videos or list_videos_of_state. DATA_LOSS if a message in it does not parse.
[[nodiscard]] absl::StatusOr<VideoRow> ReadVideoRow(const Statement& row);

// NOT_FOUND if there is no such video.
[[nodiscard]] absl::StatusOr<VideoRow> LoadVideo(SqlDb& db, const std::string& id);
// Until the transaction ends, nobody else changes the video, nor its clips: before it reads what it changes,
// a write does this. NOT_FOUND if there is no such video.
[[nodiscard]] absl::Status LockVideo(SqlDb& db, const std::string& id);
// LockVideo and LoadVideo.
[[nodiscard]] absl::StatusOr<VideoRow> LockAndLoadVideo(SqlDb& db, const std::string& id);
// nullopt: there is no row.
[[nodiscard]] absl::StatusOr<std::optional<ClipRow>> LoadClip(SqlDb& db, const std::string& id,
                                                              uint32_t clip_index);

// The resource, without clips.
[[nodiscard]] v1::Video ToVideo(const VideoRow& row);

// Three columns: key, size, sha256. An empty key if they are NULL.
[[nodiscard]] ArtifactRef ReadArtifact(const Statement& row, int first_column);

// DATA_LOSS if `bytes` are not a message of that type.
[[nodiscard]] absl::Status ParseStored(const std::string& bytes, google::protobuf::Message& message);

[[nodiscard]] absl::Status NoSuchVideo(const std::string& id);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_VIDEO_ROWS_H_
