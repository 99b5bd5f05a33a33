#include "server/queue/schedule.h"

#include <tuple>

namespace svi::server {

bool IsShort(const CurrentClip& clip) { return !clip.more_may_come && clip.clips_total <= kShortClips; }

absl::Time DueTime(const CurrentClip& clip) {
  const absl::Duration later = IsShort(clip) ? absl::ZeroDuration() : kShortLead;
  return clip.ready_since - clip.priority * kWaitPerPriority + later;
}

bool QueuePlace::operator<(const QueuePlace& other) const {
  return std::tie(due, video_created, video_id) < std::tie(other.due, other.video_created, other.video_id);
}

QueuePlace PlaceOf(const CurrentClip& clip) { return {DueTime(clip), clip.video_created, clip.video_id}; }

}  // namespace svi::server
