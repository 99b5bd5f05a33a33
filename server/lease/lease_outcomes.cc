// What the LeaseManager does at the ends of leases.
#include <spdlog/spdlog.h>

#include <utility>

#include "server/lease/lease_manager.h"
#include "server/lease/worker_messages.h"

namespace svi::server {

HeldClip LeaseManager::MakeHeld(const Lease& lease, const std::string& worker_id) {
  return HeldClip(lease, worker_id, ArtifactUpload(artifacts_, ClipKey(lease), options_.max_clip_bytes),
                  ArtifactUpload(artifacts_, CarryKey(lease), options_.max_carry_bytes),
                  std::make_shared<InputFeed>(artifacts_));
}

void LeaseManager::StoreClip(HeldClip& held, FinishedClip finished, const v1::ClipDone& done) {
  struct Uploads {
    ArtifactUpload clip;
    ArtifactUpload carry;
    FinishedClip finished;
  };
  auto uploads =
      std::make_shared<Uploads>(Uploads{std::move(held.clip), std::move(held.carry), std::move(finished)});
  StoreUpload(held, [this, uploads, done]() -> absl::StatusOr<FinishedClip> {
    if (options_.check_clips) {
      if (auto checked = uploads->clip.CheckClip(uploads->finished.clip); !checked.ok()) return checked;
    }
    auto clip = uploads->clip.Commit(done.clip_bytes(), done.clip_sha256());
    if (!clip.ok()) return clip.status();
    auto carry = uploads->carry.Commit(done.carry_bytes(), done.carry_sha256());
    if (!carry.ok()) {
      DeleteArtifacts({*clip});
      return carry.status();
    }
    uploads->finished.clip.set_size_bytes(clip->size);
    uploads->finished.clip.set_sha256(clip->sha256);
    uploads->finished.mp4 = *std::move(clip);
    uploads->finished.carry = *std::move(carry);
    return std::move(uploads->finished);
  });
}

absl::StatusOr<FinishedClip> LeaseManager::CommittedBy(const Lease& lease) {
  auto clip = store_->GetClip(lease.video_id, lease.clip_index);
  if (!clip.ok()) return clip.status();
  // The key carries the epoch.
  if (clip->mp4.key != ClipKey(lease)) return absl::NotFoundError("the clip is another lease's");
  return clip;
}

void LeaseManager::TellReceived(const HeldClip& held, v1::Registered& registered) {
  registered.set_clip_bytes_received(held.clip.received());
  registered.set_carry_bytes_received(held.carry.received());
}

absl::StatusOr<bool> LeaseManager::RecallCommitted(const Lease& lease, v1::Registered* registered) {
  const auto committed = CommittedBy(lease);
  if (absl::IsUnavailable(committed.status())) return committed.status();
  if (!committed.ok()) return false;
  if (registered != nullptr) {
    registered->set_clip_bytes_received(committed->mp4.size);
    registered->set_carry_bytes_received(committed->carry.size);
  }
  return true;
}

absl::Status LeaseManager::Commit(const HeldClip& held, const FinishedClip& finished) {
  std::vector<ArtifactRef> obsolete;
  const absl::Status status = store_->CommitClip(held.lease, finished, options_.clock(), &obsolete).status();
  if (!obsolete.empty()) RunOnStorage([this, obsolete] { DeleteArtifacts(obsolete); });
  return status;
}

void LeaseManager::Committed(const HeldClip& held, const FinishedClip& finished) {
  spdlog::info("lease {}: worker {}, attempt {}: committed, {} bytes", ToString(held.lease), held.worker_id,
               held.attempt, finished.mp4.size);
  queue_.Done(held.lease.video_id, options_.clock());
  metrics_->ClipCommitted(finished.clip);
  if (held.session == nullptr) return;
  held.session->last_commit = {held.lease.video_id, held.lease.clip_index};
  ++held.session->clips_done;
}

void LeaseManager::Discard(const FinishedClip& finished) { DeleteArtifacts({finished.mp4, finished.carry}); }

absl::Status LeaseManager::StoreFailure(const HeldClip& held, const JobStore::FailedAttempt& failure) {
  const auto video = store_->FailLease(held.lease, failure, options_.clock());
  if (video.ok() && video->state() == v1::VIDEO_STATE_FAILED) {
    spdlog::error("video {}: failed at clip {}: {}", held.lease.video_id, held.lease.clip_index,
                  video->error().reason());
  }
  return video.status();
}

}  // namespace svi::server
