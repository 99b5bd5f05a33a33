#include "server/lease/clip_queue.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace svi::server {
namespace {

// A page is read while the lease loop waits: a few milliseconds.
constexpr int kPage = 500;
// What was served before says nothing about the shares of now.
constexpr absl::Duration kRecall = absl::Hours(1);
constexpr int kRecalledClips = 2000;

}  // namespace

absl::Status ClipQueue::Load(absl::Time now) {
  auto served = store_->ListServedClips(now - kRecall, kRecalledClips);
  if (!served.ok()) return served.status();
  {
    absl::MutexLock lock(&mu_);
    index_.Recall(*std::move(served));
  }
  std::string after;
  while (true) {
    const auto clips = store_->ListCurrentClips(after, kPage);
    if (!clips.ok()) return clips.status();
    absl::MutexLock lock(&mu_);
    for (const CurrentClip& clip : *clips) index_.Put(clip, now);
    if (clips->size() < static_cast<size_t>(kPage)) return absl::OkStatus();
    after = clips->back().video_id;
  }
}

void ClipQueue::Refresh(const std::string& video_id, absl::Time now) {
  const auto clip = store_->FindCurrentClip(video_id);
  absl::MutexLock lock(&mu_);
  if (!clip.ok()) {
    spdlog::error("the store does not tell how video {} stands: {}", video_id, clip.status().ToString());
    stale_.insert(video_id);
    return;
  }
  stale_.erase(video_id);
  if (clip->has_value()) {
    index_.Put(**clip, now);
  } else {
    index_.Erase(video_id, now);
  }
}

void ClipQueue::RetryStale(absl::Time now) {
  std::set<std::string> stale;
  {
    absl::MutexLock lock(&mu_);
    stale.swap(stale_);
  }
  for (const std::string& video : stale) Refresh(video, now);
}

bool ClipQueue::ReadOn(absl::Time now) {
  std::string after;
  {
    absl::MutexLock lock(&mu_);
    after = read_to_;
  }
  const auto clips = store_->ListCurrentClips(after, kPage);
  if (!clips.ok()) {
    spdlog::error("the store does not list the clips that wait: {}", clips.status().ToString());
    return true;
  }
  const bool last = clips->size() < static_cast<size_t>(kPage);
  std::vector<std::string> kept;
  absl::MutexLock lock(&mu_);
  for (const CurrentClip& clip : *clips) {
    index_.Put(clip, now);
    kept.push_back(clip.video_id);
  }
  read_to_ = last ? "" : kept.back();
  index_.EraseOthers(after, read_to_, kept, now);
  return last;
}

void ClipQueue::ReadAnew() {
  absl::MutexLock lock(&mu_);
  read_to_.clear();
}

void ClipQueue::Leased(CurrentClip clip, const std::string& worker, absl::Time now) {
  clip.worker = worker;
  clip.leased_at = absl::FromUnixMicros(absl::ToUnixMicros(now));  // as the store keeps it
  absl::MutexLock lock(&mu_);
  index_.Put(clip, now);
}

void ClipQueue::SetAside(const std::string& video_id, absl::Time now) {
  absl::MutexLock lock(&mu_);
  index_.Erase(video_id, now);
  stale_.insert(video_id);
}

void ClipQueue::Done(const std::string& video_id, absl::Time now) {
  absl::MutexLock lock(&mu_);
  index_.Done(video_id, now);
}

void ClipQueue::LimitsChanged() {
  absl::MutexLock lock(&mu_);
  index_.LimitsChanged();
}

void ClipQueue::SetWorkers(size_t workers, size_t busy) {
  absl::MutexLock lock(&mu_);
  workers_ = workers;
  busy_ = busy;
}

bool ClipQueue::empty() const {
  absl::MutexLock lock(&mu_);
  return index_.waiting() == 0;
}

std::optional<CurrentClip> ClipQueue::Choose(const WorkerView& worker,
                                             ScheduleIndex::MayTake may_take) const {
  absl::MutexLock lock(&mu_);
  const CurrentClip* chosen = index_.Choose(worker, may_take);
  return chosen == nullptr ? std::nullopt : std::optional(*chosen);
}

bool ClipQueue::AnyWaiting(const std::vector<std::string>& video_ids) const {
  absl::MutexLock lock(&mu_);
  return index_.AnyWaiting(video_ids);
}

std::vector<std::vector<std::string>> ClipQueue::WaitingLoras() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::vector<std::string>> sets;
  for (const auto& [loras, lanes] : index_.waiting_loras()) sets.push_back(loras);
  return sets;
}

std::optional<VideoEstimate> ClipQueue::Estimate(const std::string& video_id, absl::Time now) const {
  absl::MutexLock lock(&mu_);
  // The workers of other servers show by what they make.
  const size_t elsewhere = index_.running() - std::min(index_.running(), busy_);
  return index_.Estimate(video_id, workers_ + elsewhere, now);
}

size_t ClipQueue::WorkersWanted(absl::Duration target) const {
  absl::MutexLock lock(&mu_);
  return index_.WorkersWanted(target);
}

std::vector<ScheduleIndex::TenantCounts> ClipQueue::CountByTenant() const {
  absl::MutexLock lock(&mu_);
  return index_.CountByTenant();
}

}  // namespace svi::server
