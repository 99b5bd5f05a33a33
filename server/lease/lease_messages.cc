// What the LeaseManager does with each message of a worker.
#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/lease/lease_manager.h"
#include "server/lease/worker_messages.h"

namespace svi::server {
namespace {

// The worker does not have what the clip needs. False if it never said that it did.
bool ForgetLoras(WorkerSession& session, const HeldClip& held) {
  if (held.loras.empty()) return false;
  for (const std::string& name : held.loras) {
    if (!session.loras.contains(name)) return false;
  }
  for (const std::string& name : held.loras) session.loras.erase(name);
  return true;
}

// A clip of another size or frame rate could not be joined with the video's others.
absl::Status CheckAsAsked(const HeldClip& held, const v1::ClipDone& message) {
  const auto same = [](const char* field, uint32_t is, const std::optional<uint32_t>& asked) -> absl::Status {
    if (!asked || is == *asked) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("clip_done.", field, ": is ", is, ", the video's is ", *asked));
  };
  return First({same("width", message.width(), held.width), same("height", message.height(), held.height),
                same("fps", message.fps(), held.fps)});
}

}  // namespace

absl::Status LeaseManager::Handle(WorkerSession& session, const v1::WorkerMessage& message) {
  switch (message.message_case()) {
    case v1::WorkerMessage::kRegister:
      return OnRegister(session, message.register_());
    case v1::WorkerMessage::kHeartbeat: {
      const absl::Status heard = HearLoras(session, message.heartbeat());
      return heard.ok() ? OnHeartbeat(session, message.heartbeat()) : heard;
    }
    case v1::WorkerMessage::kProgress:
      return OnProgress(session, message.progress());
    case v1::WorkerMessage::kClipChunk:
      return OnChunk(session, message.clip_chunk());
    case v1::WorkerMessage::kClipDone:
      return OnDone(session, message.clip_done());
    case v1::WorkerMessage::kClipFailed:
      return OnFailed(session, message.clip_failed());
    case v1::WorkerMessage::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the message is of no known kind");
}

void LeaseManager::Introduce(WorkerSession& session, const v1::Register& message) {
  session.profile.clear_loras();
  session.loras = {message.loras().begin(), message.loras().end()};
}

void LeaseManager::Leaving(const WorkerSession& session) {
  if (!session.loras.empty()) fleet_complete_at_ = options_.timer() + options_.lease_timeout;
}

void LeaseManager::Describe(const WorkerSession& session, v1::Worker& worker) {
  *worker.mutable_defaults() = session.profile.defaults();
  if (session.job) {
    const Lease& lease = held_.at(*session.job).lease;
    worker.set_clip("videos/" + lease.video_id + "/clips/" + std::to_string(lease.clip_index));
  }
  worker.set_clips_done(session.clips_done);
  worker.mutable_loras()->Add(session.loras.begin(), session.loras.end());
}

absl::Status LeaseManager::HearLoras(WorkerSession& session, const v1::Heartbeat& message) {
  if (!message.has_loras()) return absl::OkStatus();
  const absl::Status valid = CheckLoras("heartbeat.loras", message.loras().names());
  if (!valid.ok()) return valid;
  session.loras = {message.loras().names().begin(), message.loras().names().end()};
  spdlog::info("worker {}: now has {} LoRAs", session.id, session.loras.size());
  match_wanted_ = true;
  return absl::OkStatus();
}

absl::Status LeaseManager::OnProgress(WorkerSession& session, const v1::WorkerProgress& message) {
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr) return absl::OkStatus();
  const absl::Status valid = CheckProgress(message.progress());
  if (!valid.ok()) {
    // Nothing durable hangs on it.
    spdlog::warn("lease {}: worker {} reports progress that cannot be: {}", ToString((*held)->lease),
                 session.id, valid.ToString());
    return absl::OkStatus();
  }
  v1::Progress progress = message.progress();
  progress.set_clip_index((*held)->lease.clip_index);
  progress.set_worker(session.name());
  hub_->PublishProgress((*held)->lease.video_id, progress);
  return absl::OkStatus();
}

absl::Status LeaseManager::OnChunk(WorkerSession& session, const v1::ClipChunk& message) {
  absl::Status valid = CheckChunk(message);
  if (!valid.ok()) return valid;
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr) return absl::OkStatus();
  if ((*held)->storing) return absl::OkStatus();
  ArtifactUpload& upload = message.kind() == v1::ARTIFACT_KIND_CLIP ? (*held)->clip : (*held)->carry;
  const absl::Status appended = upload.Append(message.offset(), message.data());
  if (!appended.ok()) RefuseUpload(**held, appended);
  return absl::OkStatus();
}

absl::Status LeaseManager::OnDone(WorkerSession& session, const v1::ClipDone& message) {
  auto parsed = ParseLease(message.lease());
  if (!parsed.ok()) return parsed.status();
  if (!IsHeld(*parsed)) {
    const auto committed = CommittedBy(*parsed);
    if (committed.ok() && committed->mp4.sha256 == message.clip_sha256()) {
      AcceptAgain(session, *parsed);
      return absl::OkStatus();
    }
  }
  auto current = Current(session, message.lease());
  if (!current.ok()) return current.status();
  if (*current == nullptr) return absl::OkStatus();
  HeldClip& held = **current;
  if (held.storing) return absl::OkStatus();  // said again, on a new stream
  const absl::Status valid = First({CheckDone(message), CheckAsAsked(held, message)});
  if (!valid.ok()) {
    RefuseUpload(held, absl::DataLossError(valid.message()));
    return absl::OkStatus();
  }
  FinishedClip finished;
  finished.clip.set_index(parsed->clip_index);
  finished.clip.set_worker(session.name());
  finished.clip.set_frame_count(message.frame_count());
  finished.clip.set_width(message.width());
  finished.clip.set_height(message.height());
  finished.clip.set_fps(message.fps());
  *finished.clip.mutable_encode_time() = message.encode_time();
  *finished.clip.mutable_denoise_time() = message.denoise_time();
  *finished.clip.mutable_decode_time() = message.decode_time();
  *finished.clip.mutable_mux_time() = message.mux_time();
  if (message.has_measures()) *finished.clip.mutable_measures() = message.measures();
  if (message.has_drift()) *finished.clip.mutable_drift() = message.drift();
  StoreClip(held, std::move(finished), message);
  return absl::OkStatus();
}

void LeaseManager::Reconsider(WorkerSession& session, const HeldClip& held,
                              JobStore::FailedAttempt& failure) {
  // A file that went after the worker told of it may be there on another, which gets the clip then.
  if (failure.error.reason() == "LORA_NOT_FOUND" && ForgetLoras(session, held)) failure.permanent = false;
}

void LeaseManager::PumpInputs(WorkerSession& session) {
  if (!session.job) return;
  HeldClip& held = held_.at(*session.job);
  if (held.supplied() || held.reading) return;
  held.reading = true;
  RunOnStorage([this, lease = held.lease, inputs = held.inputs] {
    auto chunk = std::make_shared<absl::StatusOr<v1::ArtifactChunk>>(inputs->Next());
    (void)PostToLoop([this, lease, chunk] {
      absl::MutexLock lock(&mu_);
      InputRead(lease, *std::move(chunk));
    });
  });
}

void LeaseManager::InputRead(const Lease& lease, absl::StatusOr<v1::ArtifactChunk> chunk) {
  if (!IsHeld(lease)) return;
  HeldClip& held = held_.at(lease.video_id);
  held.reading = false;
  // A worker that was cut off does not get the rest when it is back.
  if (held.session == nullptr || !held.open()) return;
  WorkerSession& session = *held.session;
  if (!chunk.ok()) {
    spdlog::error("lease {}: an input cannot be read: {}", ToString(lease), chunk.status().ToString());
    EndAttempt(held, InputFailure(chunk.status()), "LEASE_LOST");
    if (absl::IsUnavailable(chunk.status())) PauseForStorage();
    PublishState(session);
    return;
  }
  held.last_named = options_.timer();
  metrics_->BytesServed(chunk->kind() == v1::INPUT_KIND_IMAGE ? "image" : "carry", chunk->data().size());
  v1::ServerMessage message;
  *message.mutable_artifact_chunk() = *std::move(chunk);
  *message.mutable_artifact_chunk()->mutable_lease() = ToLeaseId(lease);
  session.stream->Send(std::move(message));
}

JobStore::FailedAttempt LeaseManager::InputFailure(const absl::Status& why) const {
  if (absl::IsNotFound(why) || absl::IsDataLoss(why)) {
    auto lost = Failure(absl::StatusCode::kDataLoss, "INPUT_LOST",
                        "What the clip starts from is missing or damaged in the server's storage.");
    lost.permanent = true;
    return lost;
  }
  auto failure = Failure(absl::StatusCode::kUnavailable, "INPUT_UNREADABLE",
                         "The server could not read what the clip starts from.");
  failure.handed_back = true;
  return failure;
}

}  // namespace svi::server
