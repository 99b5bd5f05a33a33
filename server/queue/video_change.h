// One change of one video inside a write transaction: its events, its move through the table of states, its
// row.
#ifndef SVI_SERVER_QUEUE_VIDEO_CHANGE_H_
#define SVI_SERVER_QUEUE_VIDEO_CHANGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/queue/sql_db.h"
#include "server/queue/states.h"
#include "server/queue/video_rows.h"

namespace svi::server {

// Order of use: change fields of `video`, Emit the events that come before the change of state, Move, Emit
// those that come after it, Save. The caller owns the transaction and rolls it back on any error.
class VideoChange {
 public:
  VideoChange(SqlDb& db, VideoRow video, absl::Time now)
      : video(std::move(video)), db_(db), now_us_(ToMicros(now)) {}

  VideoRow video;

  // Appends `event` to the video's log with the next sequence number.
  [[nodiscard]] absl::Status Emit(v1::VideoEvent event);

  // Takes the row of the table of states for `step`. If the state differs from the one before, an event
  // state_changed is appended (with video.error when it FAILED); a final state sets the end time and
  // `finished`. FAILED_PRECONDITION: the step is illegal.
  [[nodiscard]] absl::StatusOr<Transition> Move(VideoStep step);

  // Makes the row of the clip whose turn it is (clips_done), READY.
  [[nodiscard]] absl::Status AddReadyClip();

  // Moves the current clip (clips_done) out of the way when the video failed or was cancelled.
  [[nodiscard]] absl::Status VoidClip(const Transition& transition);

  [[nodiscard]] absl::Status Save();

  [[nodiscard]] int64_t now_us() const { return now_us_; }

 private:
  SqlDb& db_;
  const int64_t now_us_;
};

// OK if exactly one row changed. DATA_LOSS: a clip's row is not in the state that its video's state implies.
[[nodiscard]] absl::Status ExpectOneChange(absl::StatusOr<int> changes);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_VIDEO_CHANGE_H_
