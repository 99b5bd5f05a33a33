#include "server/lease/lease_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/strip.h"
#include "server/lease/worker_messages.h"
#include "server/queue/plan.h"

namespace svi::server {

absl::Status LeaseManager::Start() {
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = options_.clock();
    fleet_complete_at_ = options_.timer() + options_.lease_timeout;
    const absl::Status loaded = queue_.Load(now);
    if (!loaded.ok()) return loaded;
  }
  return LeaseLedger::Start();
}

absl::Status LeaseManager::Assign(WorkerSession& session, const CurrentClip& clip, const LoraNeeds& needs,
                                  absl::Time now) {
  auto leased = store_->AcquireLease(clip.video_id, clip.clip_index, session.name(), now);
  if (!leased.ok()) return leased.status();
  HeldClip& held = Give(session, leased->lease, leased->attempt);
  if (const auto need = needs.by_set.find(clip.loras); need != needs.by_set.end()) {
    held.loras = need->second.loras;
  }
  if (leased->spec.has_width()) held.width = leased->spec.width();
  if (leased->spec.has_height()) held.height = leased->spec.height();
  if (leased->spec.has_fps()) held.fps = leased->spec.fps();
  session.merged_loras = clip.loras;
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
    const auto found = needs.published.find(lora.name());
    if (found != needs.published.end() && sent.insert(lora.name()).second) {
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
