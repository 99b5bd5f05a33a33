// What the server says.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "client/sha256.h"
#include "worker/agent/agent.h"
#include "worker/agent/failure.h"
#include "worker/agent/lease_text.h"

namespace svi::worker {
namespace {

// The API takes pictures to 32 MiB; a carry of the largest clip is far below this. More is a broken server.
constexpr uint64_t kMaxImageBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxCarryBytes = uint64_t{2} << 30;

}  // namespace

void Agent::OnDisconnected() {
  progress_.clear();
  // Inputs are not sent a second time.
  if (lease_ && lease_->phase == Phase::kReceiving) DropLease("lost");
  if (lease_) lease_->failure_sent = false;
}

void Agent::OnMessage(v1::ServerMessage message) {
  switch (message.message_case()) {
    case v1::ServerMessage::kRegistered:
      OnRegistered(message.registered());
      break;
    case v1::ServerMessage::kAssign:
      OnAssign(std::move(*message.mutable_assign()));
      break;
    case v1::ServerMessage::kArtifactChunk:
      OnInput(message.artifact_chunk());
      break;
    case v1::ServerMessage::kCancel:
      OnCancel(message.cancel());
      break;
    case v1::ServerMessage::kClipAccepted:
      OnAccepted(message.clip_accepted());
      break;
    case v1::ServerMessage::kDrain:
      OnDrain(false);
      break;
    case v1::ServerMessage::MESSAGE_NOT_SET:
      break;  // of a newer server
  }
}

void Agent::OnRegistered(const v1::Registered& registered) {
  if (this->registered()) return;
  LeaseAgent::OnRegistered(registered.heartbeat_interval());
  if (resuming_ && lease_) {
    if (registered.resume()) {
      spdlog::info("lease {}: resumed", LeaseText(lease_->work->assign.lease()));
      // What the server has beyond our clip cannot be ours: start over.
      const auto from = [](uint64_t received, const std::string& bytes) {
        return received <= bytes.size() ? static_cast<size_t>(received) : size_t{0};
      };
      if (lease_->phase == Phase::kUploading) {
        lease_->clip_sent = from(registered.clip_bytes_received(), lease_->outcome.clip->mp4);
        lease_->carry_sent = from(registered.carry_bytes_received(), lease_->outcome.clip->carry);
        lease_->done_sent = false;
      }
    } else {
      spdlog::warn("lease {}: lost while disconnected", LeaseText(lease_->work->assign.lease()));
      DropLease("lost");
    }
  }
  resuming_ = false;
  SendHeartbeat();
}

bool Agent::Holds(const v1::LeaseId& id) const {
  if (!lease_) return false;
  const v1::LeaseId& held = lease_->work->assign.lease();
  return held.video() == id.video() && held.clip_index() == id.clip_index() && held.epoch() == id.epoch();
}

void Agent::OnAssign(v1::Assign assign) {
  // The server has heard of the failure before the write was reported to be over.
  if (lease_ && lease_->failure_sent) DropLease(nullptr);
  if (draining() || lease_ || assign.image_bytes() > kMaxImageBytes ||
      assign.carry_bytes() > kMaxCarryBytes) {
    spdlog::info("lease {}: not taken", LeaseText(assign.lease()));
    v1::WorkerMessage message;
    *message.mutable_clip_failed() = HandedBack(assign.lease());
    Send(std::move(message));
    return;
  }
  spdlog::info("lease {}: taken, attempt {}", LeaseText(assign.lease()), assign.attempt());
  metrics_->SetBusy(true);
  lease_.emplace();
  lease_->work = std::make_shared<ClipWork>();
  lease_->work->assign = std::move(assign);
  const v1::Assign& held = lease_->work->assign;
  if (const WarmInputs* warm = warm_.Find(held.lease().video(), held.lease().clip_index())) {
    if (held.image_bytes() == 0) lease_->work->picture = warm->picture;
    if (held.carry_bytes() == 0) lease_->work->carry = warm->carry;
  }
  SendHeartbeat();  // names the lease: the server knows that it has arrived
  CheckInputs();
}

void Agent::OnInput(const v1::ArtifactChunk& chunk) {
  if (!Holds(chunk.lease()) || lease_->phase != Phase::kReceiving) return;  // of a lease that is dropped
  const v1::Assign& assign = lease_->work->assign;
  const bool image = chunk.kind() == v1::INPUT_KIND_IMAGE;
  std::string& bytes = image ? lease_->work->image : lease_->carry;
  const uint64_t total = image ? assign.image_bytes() : assign.carry_bytes();
  if (chunk.offset() != bytes.size() || chunk.data().size() > total - bytes.size()) {
    Fail(ToClipFailed(assign.lease(), absl::DataLossError("the clip's inputs arrived out of order")),
         "failed");
    return;
  }
  bytes.append(chunk.data());
  CheckInputs();
}

// Moves on from kReceiving when all is there.
void Agent::CheckInputs() {
  ClipWork& work = *lease_->work;
  const v1::Assign& assign = work.assign;
  if (work.image.size() < assign.image_bytes() || lease_->carry.size() < assign.carry_bytes()) return;
  if (assign.carry_bytes() > 0) {
    if (Sha256::Of(lease_->carry) != assign.carry_sha256()) {
      Fail(ToClipFailed(assign.lease(), absl::DataLossError("the state of the clip before arrived damaged")),
           "failed");
      return;
    }
    work.carry = std::make_shared<const std::string>(std::move(lease_->carry));
  }
  const bool picture_missing = assign.image_bytes() == 0 && !work.picture;
  const bool carry_missing = assign.lease().clip_index() > 0 && !work.carry;
  if (picture_missing || carry_missing) {
    Fail(ToClipFailed(
             assign.lease(),
             WithReason(absl::DataLossError("the worker does not have the clip's inputs"), "INPUT_MISSING")),
         "failed");
    return;
  }
  lease_->phase = Phase::kMaking;
  StartEngine();  // at once, or when the engine has stopped working on a cancelled clip
}

void Agent::OnCancel(const v1::CancelLease& cancel) {
  if (Holds(cancel.lease())) {
    spdlog::info("lease {}: cancelled: {}", LeaseText(cancel.lease()), cancel.reason());
    // A failure that is being told already has been counted.
    DropLease(lease_->phase == Phase::kFailed ? nullptr : "cancelled");
  }
  if (!lease_ && !making_) SendHeartbeat();  // else it is sent when the engine has stopped
}

void Agent::OnAccepted(const v1::ClipAccepted& accepted) {
  if (!Holds(accepted.lease()) || lease_->phase != Phase::kUploading) return;
  metrics_->ObserveStage("upload", absl::Now() - lease_->upload_start);
  warm_.Put({.video = accepted.lease().video(),
             .next_clip = accepted.lease().clip_index() + 1,
             .picture = lease_->outcome.picture,
             .carry = std::make_shared<const std::string>(std::move(lease_->outcome.clip->carry))});
  DropLease("done");
  spdlog::info("lease {}: done", LeaseText(accepted.lease()));
}

}  // namespace svi::worker
