#include "tests/server/queue/schedule_simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace svi::server {
namespace {

TenantLimits LimitsOf(const std::map<std::string, TenantLimits>& limits, const std::string& tenant) {
  const auto found = limits.find(tenant);
  return found == limits.end() ? TenantLimits() : found->second;
}

}  // namespace

SimVideo Endless(std::string tenant, double seconds, std::vector<std::string> loras) {
  SimVideo video;
  video.tenant = std::move(tenant);
  video.endless = true;
  video.seconds = seconds;
  video.loras = std::move(loras);
  return video;
}

SimVideo Finite(std::string tenant, uint32_t clips, double seconds) {
  SimVideo video;
  video.tenant = std::move(tenant);
  video.clips = clips;
  video.seconds = seconds;
  return video;
}

ScheduleSimulation::ScheduleSimulation(size_t workers, std::map<std::string, TenantLimits> limits)
    : limits_(std::move(limits)),
      index_(std::make_unique<ScheduleIndex>(
          [this](const std::string& tenant) { return LimitsOf(limits_, tenant); })),
      workers_(workers) {
  for (size_t i = workers; i-- > 0;) idle_.push_back(i);
}

absl::Time ScheduleSimulation::At(double seconds) {
  return absl::FromUnixSeconds(1'000'000'000) + absl::Seconds(seconds);
}

std::string ScheduleSimulation::IdOf(size_t video) { return absl::StrFormat("v%07d", video); }

void ScheduleSimulation::GiveLoras(size_t worker, std::set<std::string> loras) {
  workers_[worker].loras = std::move(loras);
}

size_t ScheduleSimulation::running(const std::string& tenant) const {
  const auto found = running_.find(tenant);
  return found == running_.end() ? 0 : found->second;
}

void ScheduleSimulation::AddVideo(double at, SimVideo video) {
  if (!video.endless) ++unfinished_;
  events_.push({at, order_++, outcomes_.size(), -1});
  SimOutcome& outcome = outcomes_.emplace_back();
  outcome.video = std::move(video);
  outcome.arrived = at;
}

void ScheduleSimulation::Ready(size_t video) {
  const SimOutcome& outcome = outcomes_[video];
  CurrentClip& clip = current_[IdOf(video)];
  clip.video_id = IdOf(video);
  clip.tenant = outcome.video.tenant;
  clip.clip_index = outcome.done;
  clip.clips_total = outcome.video.endless ? outcome.done + 1 : outcome.video.clips;
  clip.more_may_come = outcome.video.endless;
  clip.priority = outcome.video.priority;
  clip.ready_since = At(now_);
  clip.video_created = At(outcome.arrived);
  clip.loras = outcome.video.loras;
  clip.worker.clear();
  index_->Put(clip, At(now_));
  ready_[clip.tenant].insert(now_);
}

void ScheduleSimulation::Finish(size_t video, size_t worker) {
  SimOutcome& outcome = outcomes_[video];
  const std::string id = IdOf(video);
  const CurrentClip& clip = current_.at(id);
  index_->Done(id, At(now_));
  served_.push_back({id, clip.tenant, clip.leased_at, At(now_)});
  --running_[clip.tenant];
  ++outcome.done;
  workers_[worker].warm = {id};
  workers_[worker].merged = clip.loras;
  if (!outcome.video.endless && outcome.done == outcome.video.clips) {
    outcome.finished = now_;
    --unfinished_;
    index_->Erase(id, At(now_));
    current_.erase(id);
  } else {
    Ready(video);
  }
}

bool ScheduleSimulation::Give(size_t worker) {
  const Worker& asking = workers_[worker];
  const auto may_take = [&asking](const std::vector<std::string>& loras) {
    return std::includes(asking.loras.begin(), asking.loras.end(), loras.begin(), loras.end());
  };
  const CurrentClip* chosen = index_->Choose({asking.warm, asking.merged}, may_take);
  if (chosen == nullptr) return false;
  CurrentClip& clip = current_.at(chosen->video_id);
  const size_t video = std::stoul(clip.video_id.substr(1));
  SimOutcome& outcome = outcomes_[video];
  std::multiset<double>& ready = ready_[clip.tenant];
  Start start;
  start.time = now_;
  start.tenant = clip.tenant;
  start.ready = absl::ToDoubleSeconds(clip.ready_since - At(0));
  start.oldest_ready = *ready.begin();
  start.warm = asking.warm == std::vector<std::string>{clip.video_id};
  ready.erase(ready.lower_bound(start.ready - 1e-6));
  clip.worker = absl::StrFormat("workers/w%d", worker);
  clip.leased_at = At(now_);
  index_->Put(clip, At(now_));
  ++running_[clip.tenant];
  ++starts_;
  if (start.warm) ++warm_starts_;
  if (outcome.started < 0) outcome.started = now_;
  events_.push({now_ + outcome.video.seconds, order_++, video, static_cast<int>(worker)});
  on_start(start);
  return true;
}

void ScheduleSimulation::Match() {
  // The one that came last asks first: it is the one that is warm.
  for (size_t i = idle_.size(); i-- > 0 && index_->waiting() > 0;) {
    if (Give(idle_[i])) idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void ScheduleSimulation::Run(double until) {
  while (!events_.empty() && events_.top().time <= until) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    if (event.worker < 0) {
      Ready(event.video);
    } else {
      Finish(event.video, static_cast<size_t>(event.worker));
      idle_.push_back(static_cast<size_t>(event.worker));
    }
    Match();
  }
  now_ = std::max(now_, until);
}

void ScheduleSimulation::Restart() {
  index_ = std::make_unique<ScheduleIndex>(
      [this](const std::string& tenant) { return LimitsOf(limits_, tenant); });
  constexpr size_t kRecalled = 2000;
  const auto first = served_.size() > kRecalled ? served_.end() - kRecalled : served_.begin();
  index_->Recall({first, served_.end()});
  for (const auto& [id, clip] : current_) index_->Put(clip, At(now_));
}

}  // namespace svi::server
