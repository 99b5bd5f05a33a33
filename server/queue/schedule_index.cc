#include "server/queue/schedule_index.h"

#include <algorithm>
#include <cmath>

namespace svi::server {

void ScheduleIndex::Recall(std::vector<ServedClip> served) {
  std::sort(served.begin(), served.end(),
            [](const ServedClip& a, const ServedClip& b) { return a.leased_at < b.leased_at; });
  for (const ServedClip& clip : served) {
    const double seconds = absl::ToDoubleSeconds(clip.done_at - clip.leased_at);
    if (seconds <= 0) continue;  // a clock jumped
    Tenant& tenant = FindTenant(clip.tenant);
    shares_.Charge(tenant, seconds);
    tenant.seconds.Add(seconds);
    seconds_.Add(seconds);
    Update(tenant);
  }
}

void ScheduleIndex::Put(const CurrentClip& clip, absl::Time now) {
  const auto [found, added] = entries_.try_emplace(clip.video_id);
  Entry& entry = found->second;
  if (added) {
    ++between_;
  } else {
    const bool same_clip = entry.clip.clip_index == clip.clip_index;
    const bool same_lease = same_clip && clip.leased() && entry.state == Place::kRunning &&
                            entry.clip.worker == clip.worker && entry.clip.leased_at == clip.leased_at;
    if (same_lease) return;
    // Another server had it made before we heard that it was leased.
    const bool missed = entry.state == Place::kWaiting && clip.clip_index > entry.clip.clip_index;
    if (missed) Start(entry);
    Leave(entry, !missed && clip.clip_index > entry.clip.clip_index, now);
  }
  Tenant& tenant = FindTenant(clip.tenant);
  if (!added && IsShort(entry.clip)) --tenant.short_videos;
  entry.clip = clip;
  entry.place = PlaceOf(clip);
  entry.tenant = &tenant;
  if (added && tenant.entries++ == 0) active_weight_ += tenant.weight;
  if (IsShort(clip)) ++tenant.short_videos;
  if (clip.leased()) {
    Start(entry);
  } else {
    Wait(entry);
  }
  Update(tenant);
}

void ScheduleIndex::Done(const std::string& video_id, absl::Time now) {
  const auto found = entries_.find(video_id);
  if (found == entries_.end() || found->second.state != Place::kRunning) return;
  Leave(found->second, /*done=*/true, now);
  Update(*found->second.tenant);
}

void ScheduleIndex::Erase(const std::string& video_id, absl::Time now) {
  const auto found = entries_.find(video_id);
  if (found != entries_.end()) EraseEntry(found, now);
}

void ScheduleIndex::EraseOthers(const std::string& after, const std::string& last,
                                const std::vector<std::string>& kept, absl::Time now) {
  auto entry = after.empty() ? entries_.begin() : entries_.upper_bound(after);
  while (entry != entries_.end() && (last.empty() || entry->first <= last)) {
    const bool keep = std::binary_search(kept.begin(), kept.end(), entry->first);
    entry = keep ? std::next(entry) : EraseEntry(entry, now);
  }
}

auto ScheduleIndex::EraseEntry(Entries::iterator entry, absl::Time now) -> Entries::iterator {
  Tenant& tenant = *entry->second.tenant;
  Leave(entry->second, /*done=*/false, now);
  --between_;
  if (IsShort(entry->second.clip)) --tenant.short_videos;
  if (--tenant.entries == 0) active_weight_ -= tenant.weight;
  const auto next = entries_.erase(entry);
  Update(tenant);
  return next;
}

void ScheduleIndex::LimitsChanged() {
  for (auto& [name, tenant] : tenants_) {
    tenant.limits = limits_(name);
    if (tenant.entries > 0) active_weight_ += tenant.limits.weight - tenant.weight;
    tenant.weight = tenant.limits.weight;
    shares_.SetEligible(tenant,
                        !tenant.waiting.empty() && (tenant.limits.max_running_clips == 0 ||
                                                    tenant.running < tenant.limits.max_running_clips));
  }
}

auto ScheduleIndex::FindTenant(const std::string& name) -> Tenant& {
  const auto [found, added] = tenants_.try_emplace(name);
  Tenant& tenant = found->second;
  if (added) {
    tenant.tenant = name;
    tenant.limits = limits_(name);
    tenant.weight = tenant.limits.weight;
  } else if (tenant.entries == 0) {
    resting_.erase(&tenant);
  }
  return tenant;
}

void ScheduleIndex::Update(Tenant& tenant) {
  const uint32_t most = tenant.limits.max_running_clips;
  shares_.SetEligible(tenant, !tenant.waiting.empty() && (most == 0 || tenant.running < most));
  if (tenant.entries == 0) resting_.insert(&tenant);
  // A tag that the decisions have passed says nothing any more.
  while (!resting_.empty() && (*resting_.begin())->tag <= shares_.now()) {
    const std::string name = (*resting_.begin())->tenant;
    resting_.erase(resting_.begin());
    tenants_.erase(name);
  }
}

void ScheduleIndex::Wait(Entry& entry) {
  Tenant& tenant = *entry.tenant;
  const auto [found, added] = tenant.lanes.try_emplace(entry.clip.loras);
  Lane& lane = found->second;
  if (added) {
    lane.loras = entry.clip.loras;
    if (!lane.loras.empty()) ++lora_sets_[lane.loras];
  }
  const Entry* head = lane.clips.empty() ? nullptr : *lane.clips.begin();
  lane.clips.insert(&entry);
  if (*lane.clips.begin() == &entry) {
    if (head != nullptr) tenant.heads.erase(head);
    tenant.heads.emplace(&entry, &lane);
  }
  tenant.waiting.insert(&entry);
  entry.lane = &lane;
  entry.state = Place::kWaiting;
  --between_;
  ++waiting_;
}

void ScheduleIndex::Start(Entry& entry) {
  if (entry.state == Place::kWaiting) Leave(entry, /*done=*/false, entry.clip.leased_at);
  const double expected = Expected(entry);
  entry.charged = expected > 0 ? expected : kAssumedClipSeconds;
  shares_.Charge(*entry.tenant, entry.charged);
  ++entry.tenant->running;
  entry.state = Place::kRunning;
  --between_;
}

void ScheduleIndex::Leave(Entry& entry, bool done, absl::Time now) {
  Tenant& tenant = *entry.tenant;
  if (entry.state == Place::kWaiting) {
    Lane& lane = *entry.lane;
    const bool first = *lane.clips.begin() == &entry;
    if (first) tenant.heads.erase(&entry);
    lane.clips.erase(&entry);
    tenant.waiting.erase(&entry);
    if (lane.clips.empty()) {
      EraseLane(tenant, entry.clip.loras);
    } else if (first) {
      tenant.heads.emplace(*lane.clips.begin(), &lane);
    }
    entry.lane = nullptr;
    --waiting_;
    ++between_;
  } else if (entry.state == Place::kRunning) {
    const double seconds = absl::ToDoubleSeconds(now - entry.clip.leased_at);
    if (entry.clip.leased() && seconds >= 0) {
      shares_.Correct(tenant, seconds - entry.charged);
      if (done && seconds > 0) {
        entry.seconds.Add(seconds);
        tenant.seconds.Add(seconds);
        seconds_.Add(seconds);
      }
    }
    --tenant.running;
    ++between_;
  }
  entry.state = Place::kBetween;
}

void ScheduleIndex::EraseLane(Tenant& tenant, const std::vector<std::string>& loras) {
  tenant.lanes.erase(loras);
  const auto set = lora_sets_.find(loras);
  if (set != lora_sets_.end() && --set->second == 0) lora_sets_.erase(set);
}

double ScheduleIndex::Expected(const Entry& entry) const {
  if (entry.seconds.mean > 0) return entry.seconds.mean;
  return entry.tenant->seconds.mean > 0 ? entry.tenant->seconds.mean : seconds_.mean;
}

auto ScheduleIndex::FirstOf(const Tenant& tenant, const WorkerView& worker, MayTake may_take) const
    -> const Entry* {
  const Entry* first = nullptr;
  for (const auto& [head, lane] : tenant.heads) {
    if (may_take(lane->loras)) {
      first = head;
      break;
    }
  }
  if (first == nullptr || worker.merged_loras.empty()) return first;
  const auto merged = tenant.lanes.find(worker.merged_loras);
  if (merged == tenant.lanes.end() || !may_take(merged->second.loras)) return first;
  const Entry* other = *merged->second.clips.begin();
  return other->place.due <= first->place.due + kLoraBound ? other : first;
}

auto ScheduleIndex::WarmInsteadOf(const Entry& first, const WorkerView& worker, MayTake may_take) const
    -> const Entry* {
  const double mean = seconds_.mean > 0 ? seconds_.mean : kAssumedClipSeconds;
  const Entry* best = nullptr;
  for (const std::string& id : worker.warm_videos) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.state != Place::kWaiting) continue;
    const Entry& warm = found->second;
    const Tenant& tenant = *warm.tenant;
    if (!tenant.eligible || tenant.tag > first.tenant->tag + kWarmShare * mean) continue;
    if (!may_take(warm.lane->loras)) continue;
    const Entry* cold = &tenant == first.tenant ? &first : FirstOf(tenant, worker, may_take);
    if (warm.place.due > cold->place.due + kWarmBound) continue;
    if (best == nullptr || warm.place < best->place) best = &warm;
  }
  return best;
}

const CurrentClip* ScheduleIndex::Choose(const WorkerView& worker, MayTake may_take) const {
  for (const TenantShare* share : shares_.eligible()) {
    const Entry* first = FirstOf(*static_cast<const Tenant*>(share), worker, may_take);
    if (first == nullptr) continue;
    const Entry* warm = WarmInsteadOf(*first, worker, may_take);
    return warm != nullptr ? &warm->clip : &first->clip;
  }
  return nullptr;
}

bool ScheduleIndex::AnyWaiting(const std::vector<std::string>& video_ids) const {
  return std::any_of(video_ids.begin(), video_ids.end(), [this](const std::string& id) {
    const auto found = entries_.find(id);
    return found != entries_.end() && found->second.state == Place::kWaiting;
  });
}

double ScheduleIndex::WorkersOf(const Tenant& tenant, double workers) const {
  const double others = static_cast<double>(entries_.size() - tenant.entries);
  const double share = std::max(workers * tenant.weight / active_weight_, workers - others);
  const uint32_t most = tenant.limits.max_running_clips;
  return most == 0 ? share : std::min<double>(share, most);
}

std::optional<VideoEstimate> ScheduleIndex::Estimate(const std::string& video_id, size_t workers,
                                                     absl::Time now) const {
  const auto found = entries_.find(video_id);
  if (found == entries_.end() || found->second.state == Place::kBetween) return std::nullopt;
  const Entry& entry = found->second;
  const Tenant& tenant = *entry.tenant;
  workers = std::max(workers, running());
  const double seconds = Expected(entry);
  if (workers == 0 || seconds <= 0) return std::nullopt;
  const double others = tenant.seconds.mean > 0 ? tenant.seconds.mean : seconds_.mean;
  const double share = WorkersOf(tenant, static_cast<double>(workers));

  VideoEstimate estimate;
  absl::Time clip_end;
  if (entry.state == Place::kWaiting) {
    const double rank = static_cast<double>(tenant.waiting.order_of_key(&entry));
    const double idle = share - static_cast<double>(tenant.running);
    // Of those being made, the first will be done after half of its time, on average.
    const double turns = rank < idle ? 0 : (rank - std::max(idle, 0.0) + 0.5) / share;
    estimate.start = now + absl::Seconds(turns * others);
    clip_end = *estimate.start + absl::Seconds(seconds);
  } else {
    clip_end = std::max(now, entry.clip.leased_at + absl::Seconds(seconds));
  }
  if (entry.clip.more_may_come) return estimate;
  // Between two clips of this video, those whose turn it is before its next one take theirs.
  const size_t rivals = IsShort(entry.clip) ? tenant.short_videos : tenant.entries;
  const double pause = std::max(0.0, static_cast<double>(rivals) / share - 1) * others;
  const uint32_t after = entry.clip.clips_total - std::min(entry.clip.clips_total, entry.clip.clip_index + 1);
  estimate.finish = clip_end + after * absl::Seconds(seconds + pause);
  return estimate;
}

size_t ScheduleIndex::WorkersWanted(absl::Duration target) const {
  double wanted = 0;
  for (const auto& [id, entry] : entries_) {
    const CurrentClip& clip = entry.clip;
    const double expected = Expected(entry);
    const double seconds = expected > 0 ? expected : kAssumedClipSeconds;
    const uint32_t clips = clip.clips_total > clip.clip_index ? clip.clips_total - clip.clip_index : 1;
    wanted += std::min(1.0, clips * seconds / absl::ToDoubleSeconds(target));
  }
  return std::max(running(), static_cast<size_t>(std::ceil(wanted)));
}

auto ScheduleIndex::CountByTenant() const -> std::vector<TenantCounts> {
  std::vector<TenantCounts> counts;
  for (const auto& [name, tenant] : tenants_) {
    if (tenant.entries > 0) counts.push_back({name, tenant.waiting.size(), tenant.running});
  }
  return counts;
}

}  // namespace svi::server
