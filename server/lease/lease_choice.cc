// How the LeaseManager chooses which worker gets which clip.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/strip.h"
#include "server/lease/lease_manager.h"

namespace svi::server {
namespace {

// How often a page of the queue is read anew; where other servers share the store, as many as can be read in
// a tenth of the loop's time, since what they did and could not tell is seen no sooner.
constexpr absl::Duration kReadOnInterval = absl::Milliseconds(500);
constexpr absl::Duration kReadOnShare = absl::Milliseconds(50);

bool HasAll(const std::set<std::string>& loras, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&loras](const std::string& name) { return loras.contains(name); });
}

WorkerView ViewOf(const WorkerSession& session) {
  WorkerView view;
  if (session.last_commit) view.warm_videos.push_back(session.last_commit->first);
  for (const std::string& video : session.profile.warm_videos()) {
    view.warm_videos.emplace_back(absl::StripPrefix(video, "videos/"));
  }
  view.merged_loras = session.merged_loras;
  return view;
}

}  // namespace

void LeaseManager::WorkChanged() {
  read_all_wanted_ = true;
  LeaseLedger::WorkChanged();
}

void LeaseManager::VideoChanged(const std::string& id) {
  (void)PostToLoop([this, id] {
    absl::MutexLock lock(&mu_);
    queue_.Refresh(id, options_.clock());
    match_wanted_ = true;
    options_.queue_changed();
  });
}

absl::StatusOr<LeaseManager::LoraNeeds> LeaseManager::FindLoraNeeds() {
  const absl::Time now = options_.timer();
  LoraNeeds needs;
  const std::vector<std::vector<std::string>> sets = queue_.WaitingLoras();
  if (sets.empty()) return needs;
  std::set<std::string> named;
  for (const auto& loras : sets) named.insert(loras.begin(), loras.end());
  auto found = training_->FindLoras({named.begin(), named.end()});
  if (!found.ok()) return found.status();
  for (v1::Lora& lora : *found) {
    std::string name(absl::StripPrefix(lora.name(), "loras/"));
    needs.published.emplace(std::move(name), std::move(lora));
  }
  const std::set<std::set<std::string>> fleet = FleetLoras();
  std::map<std::vector<std::string>, absl::Time> unmet_since;
  for (const auto& loras : sets) {
    LoraNeeds::Need& need = needs.by_set[loras];
    for (const std::string& name : loras) {
      if (!needs.published.contains(name)) need.loras.push_back(name);
    }
    if (std::any_of(fleet.begin(), fleet.end(), [&](const auto& has) { return HasAll(has, need.loras); })) {
      continue;
    }
    const auto before = unmet_since_.find(loras);
    const absl::Time since = before == unmet_since_.end() ? now : before->second;
    unmet_since.emplace(loras, since);
    need.anybody = now >= fleet_complete_at_ && now - since >= unmet_patience();
  }
  unmet_since_ = std::move(unmet_since);
  return needs;
}

std::set<std::set<std::string>> LeaseManager::FleetLoras() const {
  // Most workers have the same LoRAs.
  std::set<std::set<std::string>> fleet;
  for (const auto& [key, session] : sessions_) {
    if (session.registered) fleet.insert(session.loras);
  }
  if (!options_.workers_elsewhere) return fleet;
  for (const v1::Worker& worker : options_.workers_elsewhere()) {
    fleet.emplace(worker.loras().begin(), worker.loras().end());
  }
  return fleet;
}

bool LeaseManager::MayTake(const WorkerSession& session, const std::vector<std::string>& loras,
                           const LoraNeeds& needs) {
  if (loras.empty()) return true;
  const auto need = needs.by_set.find(loras);
  if (need == needs.by_set.end()) return false;  // it came after the needs were found: the next pass
  return need->second.anybody || HasAll(session.loras, need->second.loras);
}

void LeaseManager::CountWorkers() {
  size_t workers = 0;
  size_t busy = 0;
  for (const auto& [key, session] : sessions_) {
    if (!session.registered) continue;
    if (session.job) ++busy;
    if (session.job || !session.draining) ++workers;
  }
  // They work at the same queue.
  if (options_.workers_elsewhere) {
    for (const v1::Worker& worker : options_.workers_elsewhere()) {
      if (!worker.clip().empty()) ++busy;
      if (!worker.clip().empty() || worker.state() != v1::WORKER_STATE_DRAINING) ++workers;
    }
  }
  queue_.SetWorkers(workers, busy);
}

void LeaseManager::ReadOn(absl::Time now) {
  const absl::Time start = options_.timer();
  if (read_all_wanted_.exchange(false)) {
    reading_all_ = true;
    queue_.ReadAnew();
  }
  if (start - read_on_since_ >= kReadOnInterval) {
    read_on_since_ = start;
    read_on_left_ = kReadOnShare;
  }
  if (!reading_all_ && read_on_left_ <= absl::ZeroDuration()) return;
  const bool last = queue_.ReadOn(now);
  read_on_left_ -= options_.timer() - start;
  if (last) reading_all_ = false;
  if (last || !options_.workers_elsewhere) read_on_left_ = absl::ZeroDuration();
  // It goes on once the loop has done what waits meanwhile.
  if (reading_all_ || read_on_left_ > absl::ZeroDuration()) LeaseLedger::WorkChanged();
}

void LeaseManager::Match(absl::Time now) {
  queue_.RetryStale(now);
  ReadOn(now);
  CountWorkers();
  if (queue_.empty()) return;
  const std::vector<WorkerSession*> idle = IdleSessions();
  if (idle.empty()) return;
  const auto needs = FindLoraNeeds();
  if (!needs.ok()) {
    spdlog::error("the store does not tell which LoRAs are published: {}", needs.status().ToString());
    return;
  }
  std::vector<std::pair<WorkerSession*, WorkerView>> asking;
  for (WorkerSession* session : idle) asking.emplace_back(session, ViewOf(*session));
  // Those with something warm choose first, lest another takes it; then those who have waited longest.
  std::stable_partition(asking.begin(), asking.end(),
                        [this](const auto& worker) { return queue_.AnyWaiting(worker.second.warm_videos); });
  for (const auto& [session, view] : asking) {
    if (!GiveClip(*session, view, *needs, now)) return;
  }
}

bool LeaseManager::GiveClip(WorkerSession& session, const WorkerView& view, const LoraNeeds& needs,
                            absl::Time now) {
  const auto may_take = [&](const std::vector<std::string>& loras) { return MayTake(session, loras, needs); };
  while (const auto clip = queue_.Choose(view, may_take)) {
    // A lease that has ended but could not be settled yet still blocks its video.
    if (held_.count(clip->video_id) > 0) {
      queue_.SetAside(clip->video_id, now);
      continue;
    }
    const absl::Status status = Assign(session, *clip, needs, now);
    if (status.ok()) {
      queue_.Leased(*clip, session.name(), now);
      return true;
    }
    if (absl::IsUnavailable(status)) {
      spdlog::error("the store does not lease {}/{}: {}", clip->video_id, clip->clip_index,
                    status.ToString());
      return false;
    }
    // Gone in the meantime: take the next. Anything else must not hold up the other videos either.
    queue_.SetAside(clip->video_id, now);
    if (absl::IsFailedPrecondition(status) || absl::IsNotFound(status)) {
      metrics_->ClaimLost();
      continue;
    }
    spdlog::error("the store does not lease {}/{}: {}", clip->video_id, clip->clip_index, status.ToString());
  }
  return true;
}

}  // namespace svi::server
