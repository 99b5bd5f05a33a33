#include "server/queue/schedule.h"

#include <algorithm>
#include <tuple>

namespace svi::server {
namespace {

// True if `a` has waited longer than `b`, or as long and comes first by the tie-break.
bool WaitedLonger(const Leasable& a, const Leasable& b) {
  return std::tie(a.ready_since, a.video_created, a.video_id, a.clip_index) <
         std::tie(b.ready_since, b.video_created, b.video_id, b.clip_index);
}

bool HasAll(const absl::flat_hash_set<std::string>& loras, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&loras](const std::string& name) { return loras.contains(name); });
}

}  // namespace

bool MayTake(const Leasable& clip, const WorkerView& worker, const FleetView& fleet, absl::Time now) {
  if (HasAll(worker.loras, clip.loras)) return true;
  if (now < fleet.complete_at) return false;
  return std::none_of(fleet.loras.begin(), fleet.loras.end(),
                      [&clip](const auto& loras) { return HasAll(loras, clip.loras); });
}

std::optional<size_t> ChooseClip(absl::Span<const Leasable> clips, const WorkerView& worker,
                                 const FleetView& fleet, absl::Time now) {
  std::optional<size_t> longest;
  std::optional<size_t> warm;
  for (size_t i = 0; i < clips.size(); ++i) {
    if (longest.has_value() && clips[i].priority < clips[*longest].priority) continue;
    if (!MayTake(clips[i], worker, fleet, now)) continue;
    if (longest.has_value() && clips[i].priority > clips[*longest].priority) longest = warm = std::nullopt;
    if (!longest.has_value() || WaitedLonger(clips[i], clips[*longest])) longest = i;
    if (!worker.warm_videos.contains(clips[i].video_id)) continue;
    if (!warm.has_value() || WaitedLonger(clips[i], clips[*warm])) warm = i;
  }
  if (!warm.has_value()) return longest;
  return now - clips[*longest].ready_since > kWarmPreferenceBound ? longest : warm;
}

}  // namespace svi::server
