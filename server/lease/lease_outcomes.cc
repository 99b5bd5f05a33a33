// How leases end: committed, failed, or taken away.
#include <spdlog/spdlog.h>

#include <utility>

#include "server/lease/lease_manager.h"
#include "server/lease/worker_messages.h"

namespace svi::server {
namespace {

// Of svi_clips_total.
const char* OutcomeLabel(const JobStore::FailedAttempt& failure) {
  const std::string& reason = failure.error.reason();
  if (failure.handed_back) return "handed_back";
  if (failure.permanent) return "permanent";
  if (reason == "LEASE_EXPIRED" || reason == "LEASE_LOST") return "expired";
  if (reason == "UPLOAD_CORRUPT" || reason == "STORAGE_FAILED") return "refused";
  return "failed";
}

}  // namespace

absl::Status LeaseManager::CommitUploads(HeldClip& held, const v1::ClipDone& done, FinishedClip* finished) {
  auto clip = held.clip.Commit(done.clip_bytes(), done.clip_sha256());
  if (!clip.ok()) return clip.status();
  auto carry = held.carry.Commit(done.carry_bytes(), done.carry_sha256());
  if (!carry.ok()) {
    DeleteArtifacts({*clip});
    return carry.status();
  }
  finished->mp4 = *std::move(clip);
  finished->carry = *std::move(carry);
  return absl::OkStatus();
}

absl::StatusOr<FinishedClip> LeaseManager::CommittedBy(const Lease& lease) {
  auto clip = store_->GetClip(lease.video_id, lease.clip_index);
  if (!clip.ok()) return clip.status();
  // The key carries the epoch.
  if (clip->mp4.key != ClipKey(lease)) return absl::NotFoundError("the clip is another lease's");
  return clip;
}

void LeaseManager::TellToDrop(WorkerSession& session, const Lease& lease, const std::string& reason) {
  session.cancelled = lease;
  // A worker that has another lease by now has long stopped.
  if (!session.video_id) {
    session.stopping = true;
    session.stopping_since = options_.clock();
  }
  v1::ServerMessage message;
  *message.mutable_cancel()->mutable_lease() = ToLeaseId(lease);
  message.mutable_cancel()->set_reason(reason);
  session.stream->Send(std::move(message));
}

void LeaseManager::Detach(HeldClip& held, const std::string& tell_worker) {
  WorkerSession* session = std::exchange(held.session, nullptr);
  if (session == nullptr) return;
  session->video_id.reset();
  session->idle_since = options_.clock();
  if (!tell_worker.empty()) TellToDrop(*session, held.lease, tell_worker);
  PublishState(*session);
}

void LeaseManager::EndAttempt(HeldClip& held, JobStore::FailedAttempt failure,
                              const std::string& tell_worker) {
  Detach(held, tell_worker);
  spdlog::warn("lease {}: worker {}, attempt {} {}: {}: {}", ToString(held.lease), held.worker_id,
               held.attempt, failure.handed_back ? "handed back" : "failed", failure.error.reason(),
               failure.error.message());
  metrics_->ClipEnded(OutcomeLabel(failure));
  held.outcome = std::move(failure);
  Settle(held);
}

bool LeaseManager::Settle(HeldClip& held) {
  match_wanted_ = true;
  return std::holds_alternative<FinishedClip>(held.outcome) ? SettleFinished(held) : SettleFailed(held);
}

bool LeaseManager::SettleFinished(HeldClip& held) {
  const FinishedClip clip = std::get<FinishedClip>(held.outcome);
  std::vector<ArtifactRef> obsolete;
  const absl::Status status = store_->CommitClip(held.lease, clip, options_.clock(), &obsolete).status();
  if (absl::IsUnavailable(status)) {
    spdlog::error("lease {}: not committed yet, will be tried again: {}", ToString(held.lease),
                  status.ToString());
    return false;
  }
  // A commit whose answer got lost looks like a lease that is not current: then it is there all the same.
  if (status.ok() || (absl::IsAborted(status) && CommittedBy(held.lease).ok())) {
    Accept(held, clip);
    DeleteArtifacts(obsolete);
    return true;
  }
  DeleteArtifacts({clip.mp4, clip.carry});
  spdlog::warn("lease {}: worker {}, attempt {}: its clip is refused: {}", ToString(held.lease),
               held.worker_id, held.attempt, status.ToString());
  metrics_->ClipEnded("refused");
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    Detach(held, "LEASE_LOST");
    held_.erase(held.lease.video_id);
    return true;
  }
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(absl::StatusCode::kInternal));
  failure.error.set_reason("STORAGE_FAILED");
  failure.error.set_message("The server could not commit the clip.");
  failure.max_attempts = options_.max_attempts;
  Detach(held, "CLIP_REFUSED");
  held.outcome = std::move(failure);
  return SettleFailed(held);
}

void LeaseManager::Accept(HeldClip& held, const FinishedClip& clip) {
  const Lease lease = held.lease;
  spdlog::info("lease {}: worker {}, attempt {}: committed, {} bytes", ToString(lease), held.worker_id,
               held.attempt, clip.mp4.size);
  WorkerSession* session = held.session;
  if (session != nullptr) {
    session->last_commit = {lease.video_id, lease.clip_index};
    ++session->clips_done;
  }
  Detach(held, "");
  held_.erase(lease.video_id);
  metrics_->ClipCommitted(clip.clip);
  hub_->VideoChanged(lease.video_id);
  if (session == nullptr) return;
  v1::ServerMessage message;
  *message.mutable_clip_accepted()->mutable_lease() = ToLeaseId(lease);
  session->stream->Send(std::move(message));
}

bool LeaseManager::SettleFailed(HeldClip& held) {
  const std::string video_id = held.lease.video_id;
  const auto video =
      store_->FailLease(held.lease, std::get<JobStore::FailedAttempt>(held.outcome), options_.clock());
  if (absl::IsUnavailable(video.status())) {
    spdlog::error("lease {}: its end is not stored yet, will be tried again: {}", ToString(held.lease),
                  video.status().ToString());
    return false;
  }
  if (!video.ok()) {
    spdlog::warn("lease {}: had ended already: {}", ToString(held.lease), video.status().ToString());
  } else if (video->state() == v1::VIDEO_STATE_FAILED) {
    spdlog::error("video {}: failed at clip {}: {}", video_id, held.lease.clip_index,
                  video->error().reason());
  }
  held_.erase(video_id);
  hub_->VideoChanged(video_id);
  return true;
}

void LeaseManager::DeleteArtifacts(const std::vector<ArtifactRef>& artifacts) {
  for (const ArtifactRef& artifact : artifacts) {
    const absl::Status status = artifacts_->Delete(artifact);
    // Harmless but for its bytes.
    if (!status.ok()) spdlog::warn("artifact {} is left behind: {}", artifact.key, status.ToString());
  }
}

void LeaseManager::DropVideo(const std::string& video_id) {
  const auto found = held_.find(video_id);
  if (found == held_.end()) return;
  HeldClip& held = found->second;
  spdlog::info("lease {}: worker {}, attempt {}: the video was cancelled", ToString(held.lease),
               held.worker_id, held.attempt);
  if (const auto* clip = std::get_if<FinishedClip>(&held.outcome)) DeleteArtifacts({clip->mp4, clip->carry});
  metrics_->ClipEnded("cancelled");
  Detach(held, "VIDEO_CANCELLED");
  held_.erase(found);
  match_wanted_ = true;
}

}  // namespace svi::server
