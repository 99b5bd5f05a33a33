// The queue in the order of the policy (schedule.h), and the choice of the next clip from it.
#ifndef SVI_SERVER_QUEUE_SCHEDULE_INDEX_H_
#define SVI_SERVER_QUEUE_SCHEDULE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "server/queue/current_clip.h"
#include "server/queue/schedule.h"
#include "server/queue/tenant.h"
#include "server/queue/tenant_shares.h"

namespace svi::server {

// When a video's clips will be there.
struct VideoEstimate {
  // Of the clip that waits; nullopt while one is being made.
  std::optional<absl::Time> start;
  // Of the last clip; nullopt while more may come.
  std::optional<absl::Time> finish;
};

// Not thread-safe. A mirror of the store's current clips: Put and Erase tell what the store says of a video
// now, in any order and any number of times, also when changes between were not seen. It has no clock.
//
// Costs, n being the videos in it: Put, Erase and Estimate O(log n). Choose O(log n), and one more step for
// each set of LoRAs, and each tenant, that the worker may take nothing of but whose turn it would be.
class ScheduleIndex {
 public:
  using LimitsOf = std::function<TenantLimits(const std::string& tenant)>;
  // Whether the worker may be given a clip that needs these LoRAs.
  using MayTake = absl::FunctionRef<bool(const std::vector<std::string>& loras)>;

  explicit ScheduleIndex(LimitsOf limits) : limits_(std::move(limits)) {}
  ScheduleIndex(const ScheduleIndex&) = delete;
  ScheduleIndex& operator=(const ScheduleIndex&) = delete;

  // What was served of late, before anything else is told: shares go on from there, and clips are expected to
  // take as long.
  void Recall(std::vector<ServedClip> served);

  void Put(const CurrentClip& clip, absl::Time now);
  // The clip that is being made is finished; Put or Erase will tell what comes next.
  void Done(const std::string& video_id, absl::Time now);
  // The video has no current clip.
  void Erase(const std::string& video_id, absl::Time now);
  // Erases all videos with ids in (after, last], or with `last` empty all after `after`, but those in `kept`,
  // which are sorted.
  void EraseOthers(const std::string& after, const std::string& last, const std::vector<std::string>& kept,
                   absl::Time now);
  // Limits are asked for again.
  void LimitsChanged();

  // The clip to lease; nullptr if there is none. Valid until the index changes.
  [[nodiscard]] const CurrentClip* Choose(const WorkerView& worker, MayTake may_take) const;
  // True if a clip of one of these videos waits.
  [[nodiscard]] bool AnyWaiting(const std::vector<std::string>& video_ids) const;
  // The sets of LoRAs that some clip waits with, but the empty one; and in how many tenants' queues each is.
  [[nodiscard]] const std::map<std::vector<std::string>, size_t>& waiting_loras() const { return lora_sets_; }

  // `workers`: how many could make clips, the busy ones included. nullopt: the video has no current clip, no
  // worker is there, or no clip was measured.
  [[nodiscard]] std::optional<VideoEstimate> Estimate(const std::string& video_id, size_t workers,
                                                      absl::Time now) const;

  // How many workers it takes to have done within `target` what is known of now: each video has one at most,
  // and for as long as its clips take; but no fewer than are at work. O(n).
  [[nodiscard]] size_t WorkersWanted(absl::Duration target) const;

  [[nodiscard]] size_t waiting() const { return waiting_; }
  [[nodiscard]] size_t running() const { return entries_.size() - waiting_ - between_; }
  struct TenantCounts {
    std::string tenant;
    size_t waiting = 0;
    size_t running = 0;
  };
  [[nodiscard]] std::vector<TenantCounts> CountByTenant() const;

 private:
  struct Tenant;
  struct Lane;
  enum class Place { kWaiting, kRunning, kBetween };

  // A moving mean of clips' seconds; 0: none was measured.
  struct Seconds {
    double mean = 0;
    void Add(double seconds) { mean = mean == 0 ? seconds : mean + 0.2 * (seconds - mean); }
  };

  struct Entry {
    CurrentClip clip;
    QueuePlace place;
    Place state = Place::kBetween;
    Tenant* tenant = nullptr;
    Lane* lane = nullptr;
    double charged = 0;  // seconds, of the clip that is being made
    Seconds seconds;     // of this video's clips
  };
  struct DueFirst {
    bool operator()(const Entry* a, const Entry* b) const { return a->place < b->place; }
  };
  // Tells the rank of a clip.
  using Ranked = __gnu_pbds::tree<const Entry*, __gnu_pbds::null_type, DueFirst, __gnu_pbds::rb_tree_tag,
                                  __gnu_pbds::tree_order_statistics_node_update>;

  // A tenant's waiting clips that need the same LoRAs.
  struct Lane {
    std::vector<std::string> loras;
    std::set<const Entry*, DueFirst> clips;
  };
  struct Tenant : TenantShare {
    TenantLimits limits;
    size_t entries = 0;
    size_t running = 0;
    size_t short_videos = 0;  // of `entries`
    Ranked waiting;
    std::map<std::vector<std::string>, Lane> lanes;
    std::map<const Entry*, Lane*, DueFirst> heads;  // the first clip of each lane
    Seconds seconds;
  };
  using Entries = std::map<std::string, Entry>;

  Tenant& FindTenant(const std::string& name);
  // Its place among those to choose from; to be called after every change of its queue, and last, since it
  // may end tenants without videos.
  void Update(Tenant& tenant);
  void Wait(Entry& entry);
  void Start(Entry& entry);
  // Takes it out of the queue, or ends its lease; `done` with a finished clip.
  void Leave(Entry& entry, bool done, absl::Time now);
  void EraseLane(Tenant& tenant, const std::vector<std::string>& loras);
  Entries::iterator EraseEntry(Entries::iterator entry, absl::Time now);
  [[nodiscard]] double Expected(const Entry& entry) const;  // seconds; 0: not known
  [[nodiscard]] const Entry* FirstOf(const Tenant& tenant, const WorkerView& worker, MayTake may_take) const;
  // The best clip of the worker's warm videos that may go before `first`.
  [[nodiscard]] const Entry* WarmInsteadOf(const Entry& first, const WorkerView& worker,
                                           MayTake may_take) const;
  // How many of `workers` the tenant has, or could have if it had enough clips.
  [[nodiscard]] double WorkersOf(const Tenant& tenant, double workers) const;

  const LimitsOf limits_;
  Entries entries_;
  std::map<std::string, Tenant> tenants_;
  TenantShares shares_;
  // Tenants without videos, kept until their tags do not matter any more.
  std::set<TenantShare*, TenantShares::LowestFirst> resting_;
  double active_weight_ = 0;  // of the tenants that have videos here
  Seconds seconds_;
  std::map<std::vector<std::string>, size_t> lora_sets_;
  size_t waiting_ = 0;
  size_t between_ = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SCHEDULE_INDEX_H_
