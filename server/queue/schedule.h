// Which of the leasable clips a worker gets. A pure function: no clock, no state, no store.
#ifndef SVI_SERVER_QUEUE_SCHEDULE_H_
#define SVI_SERVER_QUEUE_SCHEDULE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/queue/job_store.h"

namespace svi::server {

// The worker that asks, as the policy sees it.
struct WorkerView {
  std::string id;
  // Videos whose carry and prompt embeddings are still in its memory.
  absl::flat_hash_set<std::string> warm_videos;
  // LoRAs in its folder.
  absl::flat_hash_set<std::string> loras;
};

// The workers that are connected, as far as it matters to a clip that another of them might take.
struct FleetView {
  // The LoRAs of each, the one that asks and the busy ones included.
  std::vector<absl::flat_hash_set<std::string>> loras;
  // Until then a worker that is not connected may come back with its LoRAs.
  absl::Time complete_at = absl::InfinitePast();
};

// Whether the worker may be given the clip. One that needs LoRAs waits for a worker that has them all, as
// long as there is one, or one may come back. Else any worker gets it: that looks into its folder once more,
// and if the file is not there it fails the video, which would wait for ever otherwise.
[[nodiscard]] bool MayTake(const Leasable& clip, const WorkerView& worker, const FleetView& fleet,
                           absl::Time now);

// How long a clip may be passed over for the sake of a warm one of the same priority. A warm start saves
// seconds; with no bound, a worker would stay with an endless video for ever.
inline constexpr absl::Duration kWarmPreferenceBound = absl::Seconds(60);

// Index of the clip to lease, nullopt if there is none. What the worker may not take does not count. Higher
// priority goes first, always. Among equal priority: the longest-waiting clip of a video that is warm on this
// worker, unless a colder clip has waited longer than that one and longer than kWarmPreferenceBound; else the
// clip that has waited longest, so that an endless video, whose clips are always the newest, cannot starve a
// short one. Ties: the older video, then the smaller id.
[[nodiscard]] std::optional<size_t> ChooseClip(absl::Span<const Leasable> clips, const WorkerView& worker,
                                               const FleetView& fleet, absl::Time now);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SCHEDULE_H_
