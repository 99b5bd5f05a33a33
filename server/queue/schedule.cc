#include "server/queue/schedule.h"

#include <tuple>

namespace svi::server {
namespace {

// True if `a` has waited longer than `b`, or as long and comes first by the tie-break.
bool WaitedLonger(const Leasable& a, const Leasable& b) {
  return std::tie(a.ready_since, a.video_created, a.video_id, a.clip_index) <
         std::tie(b.ready_since, b.video_created, b.video_id, b.clip_index);
}

}  // namespace

std::optional<size_t> ChooseClip(absl::Span<const Leasable> clips, const WorkerView& worker, absl::Time now) {
  std::optional<size_t> longest;
  std::optional<size_t> warm;
  for (size_t i = 0; i < clips.size(); ++i) {
    if (longest.has_value() && clips[i].priority < clips[*longest].priority) continue;
    if (longest.has_value() && clips[i].priority > clips[*longest].priority) longest = warm = std::nullopt;
    if (!longest.has_value() || WaitedLonger(clips[i], clips[*longest])) longest = i;
    if (!worker.warm_videos.contains(clips[i].video_id)) continue;
    if (!warm.has_value() || WaitedLonger(clips[i], clips[*warm])) warm = i;
  }
  if (!warm.has_value()) return longest;
  return now - clips[*longest].ready_since > kWarmPreferenceBound ? longest : warm;
}

}  // namespace svi::server
