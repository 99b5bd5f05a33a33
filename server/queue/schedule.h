// The scheduling policy: which of the waiting clips a worker gets. Here is what orders clips and tenants, as
// pure functions; schedule_index.h keeps the queue in that order.
//
// Nothing but what the store holds decides, so every front-end decides alike, before and after a restart.
//
// Between tenants: start-time fair queueing. A tenant's tag grows, with each clip that it is given, by the
// worker-seconds of the clip divided by the tenant's weight; who has the lowest tag is next. A tenant that
// comes to have a clip waiting starts from the tag of the newest decision: it cannot save up service.
// Priorities never count between tenants.
//
// Within a tenant: the clip with the earliest due time (DueTime below) is next. A due time never changes
// while the clip waits, so clips age by themselves.
//
// A worker that holds what a clip needs may break this order within bounds: see kWarmShare, kWarmBound and
// kLoraBound.
//
// What is guaranteed, while a worker that may take the clip becomes free now and then:
// 1. No starvation. A clip is passed over only by clips of its own tenant that are due before it, and none is
//    that became ready more than kLongestWait after it; and by other tenants only until their tags pass its
//    own tenant's.
// 2. Fairness. While two tenants have clips waiting all the time that any worker may take, what they are
//    given, in worker-seconds divided by weight, differs by at most c1/w1 + c2/w2 + 2 * kWarmShare * m: c is
//    a tenant's longest clip, w its weight, m the mean of recent clips; as far as a clip takes as long as
//    the one before it. A tenant at its limit, or short of clips, has none waiting in this sense.
// 3. A tenant that was idle gets its first worker after at most 1 + kWarmShare clips of each other tenant, if
//    weights and clips are alike; in general, once the others' tags have passed the newest decision's.
// 4. Endless videos, however many of their tenant and priority, delay a short one by at most the one clip
//    that is being made when it comes, until they have waited kShortLead longer.
#ifndef SVI_SERVER_QUEUE_SCHEDULE_H_
#define SVI_SERVER_QUEUE_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/queue/current_clip.h"

namespace svi::server {

// The worker that asks, as the policy sees it.
struct WorkerView {
  // Videos whose carry and prompt embeddings are still in its memory.
  std::vector<std::string> warm_videos;
  // LoRAs that are merged into its weights: those of its newest clip, sorted.
  std::vector<std::string> merged_loras;
};

// One level of priority is worth having waited this much longer.
inline constexpr absl::Duration kWaitPerPriority = absl::Seconds(30);

// A short video has at most this many clips, and an end. Its clips go before those of other videos of equal
// priority, unless they have waited kShortLead longer.
inline constexpr uint32_t kShortClips = 8;
inline constexpr absl::Duration kShortLead = absl::Minutes(30);

// From the lowest priority to the highest, and from a long video to a short one.
inline constexpr absl::Duration kLongestWait = absl::Minutes(130);

// A warm start saves seconds. It is worth passing over clips of the same tenant that are due up to this much
// earlier, and a tenant whose tag is lower by up to this many clips of mean length.
inline constexpr absl::Duration kWarmBound = absl::Seconds(60);
inline constexpr double kWarmShare = 1;

// Merging LoRAs takes seconds. To have them merged already is worth this much within a tenant.
inline constexpr absl::Duration kLoraBound = absl::Seconds(30);

// What a clip is taken to cost before any was measured, seconds.
inline constexpr double kAssumedClipSeconds = 60;

[[nodiscard]] bool IsShort(const CurrentClip& clip);

// When the clip became ready, moved by its priority and its video's length.
[[nodiscard]] absl::Time DueTime(const CurrentClip& clip);

// A clip's place among those of its tenant. Ties: the older video, then the smaller id.
struct QueuePlace {
  absl::Time due;
  absl::Time video_created;
  std::string video_id;

  bool operator<(const QueuePlace& other) const;
};
[[nodiscard]] QueuePlace PlaceOf(const CurrentClip& clip);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SCHEDULE_H_
