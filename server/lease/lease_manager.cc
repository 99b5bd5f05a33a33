#include "server/lease/lease_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/strip.h"
#include "server/lease/worker_messages.h"
#include "server/queue/plan.h"

namespace svi::server {
namespace {

// Clips looked at in one pass, of those that need the same LoRAs; more than one worker can take from.
constexpr int kCandidates = 256;

}  // namespace

absl::Status LeaseManager::Start() {
  {
    absl::MutexLock lock(&mu_);
    fleet_complete_at_ = options_.clock() + options_.lease_timeout;
  }
  return LeaseLedger::Start();
}

WorkerView LeaseManager::ViewOf(const WorkerSession& session, const std::set<std::string>& wanted) {
  WorkerView view;
  view.id = session.id;
  for (const std::string& video : session.profile.warm_videos()) {
    view.warm_videos.emplace(absl::StripPrefix(video, "videos/"));
  }
  if (session.last_commit) view.warm_videos.insert(session.last_commit->first);
  for (const std::string& name : wanted) {
    if (session.loras.contains(name)) view.loras.insert(name);
  }
  return view;
}

FleetView LeaseManager::ViewFleet(const std::set<std::string>& wanted) const {
  FleetView fleet;
  fleet.complete_at = fleet_complete_at_;
  for (const auto& [key, session] : sessions_) {
    if (session.registered) fleet.loras.push_back(ViewOf(session, wanted).loras);
  }
  return fleet;
}

absl::StatusOr<LeaseManager::PublishedLoras> LeaseManager::TakePublished(std::vector<Leasable>& clips) {
  std::set<std::string> named;
  for (const Leasable& clip : clips) named.insert(clip.loras.begin(), clip.loras.end());
  PublishedLoras published;
  if (named.empty()) return published;
  auto found = training_->FindLoras({named.begin(), named.end()});
  if (!found.ok()) return found.status();
  for (v1::Lora& lora : *found) {
    std::string name(absl::StripPrefix(lora.name(), "loras/"));
    published.emplace(std::move(name), std::move(lora));
  }
  for (Leasable& clip : clips) {
    std::erase_if(clip.loras, [&published](const std::string& name) { return published.contains(name); });
  }
  return published;
}

void LeaseManager::Match(absl::Time now) {
  const std::vector<WorkerSession*> idle = IdleSessions();
  if (idle.empty()) return;
  auto clips = store_->ListLeasable(kCandidates);
  if (!clips.ok()) {
    spdlog::error("the store does not list leasable clips: {}", clips.status().ToString());
    return;
  }
  // A lease that has ended but could not be settled yet still blocks its video.
  std::erase_if(*clips, [this](const Leasable& clip) { return held_.count(clip.video_id) > 0; });

  const auto published = TakePublished(*clips);
  if (!published.ok()) {
    spdlog::error("the store does not tell which LoRAs are published: {}", published.status().ToString());
    return;
  }
  std::set<std::string> wanted;
  for (const Leasable& clip : *clips) wanted.insert(clip.loras.begin(), clip.loras.end());
  const FleetView fleet = ViewFleet(wanted);
  std::vector<std::pair<WorkerSession*, WorkerView>> queue;
  for (WorkerSession* session : idle) queue.emplace_back(session, ViewOf(*session, wanted));
  // Those with something warm choose first, lest another takes it; then those who have waited longest.
  std::stable_partition(queue.begin(), queue.end(), [&clips](const auto& worker) {
    return std::any_of(clips->begin(), clips->end(), [&worker](const Leasable& clip) {
      return worker.second.warm_videos.contains(clip.video_id);
    });
  });
  for (const auto& [session, view] : queue) {
    while (const auto chosen = ChooseClip(*clips, view, fleet, now)) {
      const Leasable clip = (*clips)[*chosen];
      clips->erase(clips->begin() + static_cast<std::ptrdiff_t>(*chosen));
      const absl::Status status = Assign(*session, clip, *published, now);
      if (status.ok()) break;
      // Gone in the meantime: take the next. Anything else must not hold up the other videos either.
      if (absl::IsFailedPrecondition(status) || absl::IsNotFound(status)) continue;
      spdlog::error("the store does not lease {}/{}: {}", clip.video_id, clip.clip_index, status.ToString());
      if (absl::IsUnavailable(status)) return;
    }
  }
}

absl::Status LeaseManager::Assign(WorkerSession& session, const Leasable& clip,
                                  const PublishedLoras& published, absl::Time now) {
  auto leased = store_->AcquireLease(clip.video_id, clip.clip_index, session.name(), now);
  if (!leased.ok()) return leased.status();
  HeldClip& held = Give(session, leased->lease, leased->attempt, now);
  held.loras = clip.loras;
  // Only what the worker surely has is left out: it made the clip before this one, and nothing since.
  const bool warm = session.last_commit && clip.clip_index > 0 &&
                    *session.last_commit == std::pair(clip.video_id, clip.clip_index - 1);
  if (!warm && clip.clip_index > 0 && !leased->carry) {
    EndAttempt(held, InputFailure(absl::NotFoundError("no carry")), "");
    return absl::FailedPreconditionError("the carry of the clip before is not in the store");
  }

  v1::ServerMessage message;
  v1::Assign& assign = *message.mutable_assign();
  *assign.mutable_lease() = ToLeaseId(held.lease);
  assign.set_prompt(PromptOfClip(leased->spec, clip.clip_index));
  assign.set_seed(SeedOfClip(leased->spec, clip.clip_index));
  assign.set_attempt(leased->attempt);
  if (clip.clip_index > 0) {
    const auto first = store_->GetClip(clip.video_id, 0);
    if (first.ok() && first->clip.has_measures()) {
      *assign.mutable_first_clip_measures() = first->clip.measures();
    }
  }
  std::set<std::string> sent;
  for (const v1::LoraRef& lora : leased->spec.lora()) {
    const auto found = published.find(lora.name());
    if (found != published.end() && sent.insert(lora.name()).second) {
      *assign.add_published_loras() = found->second;
    }
  }
  *assign.mutable_spec() = std::move(leased->spec);
  assign.mutable_spec()->clear_image();
  if (!warm) {
    assign.set_image_bytes(leased->image.size);
    held.inputs->Add(v1::INPUT_KIND_IMAGE, leased->image);
    if (leased->carry) {
      assign.set_carry_bytes(leased->carry->size);
      assign.set_carry_sha256(leased->carry->sha256);
      held.inputs->Add(v1::INPUT_KIND_CARRY, *leased->carry);
    }
  }
  spdlog::info("lease {}: to worker {}, attempt {}{}", ToString(held.lease), session.id, held.attempt,
               warm ? ", warm" : "");
  session.stream->Send(std::move(message));
  hub_->Changed(clip.video_id);
  PublishState(session);
  return absl::OkStatus();
}

}  // namespace svi::server
