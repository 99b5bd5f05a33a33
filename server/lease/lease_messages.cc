// What the LeaseManager does with each message of a worker.
#include <spdlog/spdlog.h>

#include <utility>

#include "server/lease/lease_manager.h"
#include "server/lease/worker_messages.h"

namespace svi::server {
namespace {

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  const int64_t nanos = absl::ToInt64Nanoseconds(duration);
  proto.set_seconds(nanos / 1000000000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1000000000));
  return proto;
}

JobStore::FailedAttempt Failed(absl::StatusCode code, const char* reason, std::string message,
                               uint32_t max_attempts) {
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(code));
  failure.error.set_reason(reason);
  failure.error.set_message(std::move(message));
  failure.max_attempts = max_attempts;
  return failure;
}

// The worker does not have what the clip needs. False if it never said that it did.
bool ForgetLoras(WorkerSession& session, const HeldClip& held) {
  if (held.loras.empty()) return false;
  for (const std::string& name : held.loras) {
    if (!session.loras.contains(name)) return false;
  }
  for (const std::string& name : held.loras) session.loras.erase(name);
  return true;
}

}  // namespace

absl::Status LeaseManager::Handle(WorkerSession& session, const v1::WorkerMessage& message) {
  if (message.message_case() == v1::WorkerMessage::MESSAGE_NOT_SET) {
    return absl::InvalidArgumentError("the message is empty");
  }
  if (!session.registered && !message.has_register_()) {
    return absl::FailedPreconditionError("Register must come first");
  }
  switch (message.message_case()) {
    case v1::WorkerMessage::kRegister:
      return OnRegister(session, message.register_());
    case v1::WorkerMessage::kHeartbeat:
      return OnHeartbeat(session, message.heartbeat());
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

absl::Status LeaseManager::OnRegister(WorkerSession& session, const v1::Register& message) {
  if (session.registered) return absl::FailedPreconditionError("Register must come once");
  absl::Status valid = CheckRegister(message);
  if (!valid.ok()) return valid;
  std::optional<Lease> holding;
  if (message.has_holding()) {
    auto parsed = ParseLease(message.holding());
    if (!parsed.ok()) return parsed.status();
    holding = *std::move(parsed);
  }
  WorkerSession* older = nullptr;
  for (auto& [key, other] : sessions_) {
    if (other.registered && other.id == message.worker_id()) older = &other;
  }
  if (older != nullptr) {
    spdlog::warn("worker {}: registered again, its older stream is ended", older->id);
    CloseSession(*older, {grpc::StatusCode::ABORTED, "the worker registered on a newer stream"},
                 /*abort=*/true);
  }
  session.registered = true;
  session.id = message.worker_id();
  session.profile = message;
  session.profile.clear_loras();
  session.loras = {message.loras().begin(), message.loras().end()};
  session.idle_since = options_.clock();
  spdlog::info("worker {}: registered: {}, {}, version {}", session.id, CleanText(message.device(), 256),
               CleanText(message.model(), 256), CleanText(message.version(), 256));

  v1::ServerMessage reply;
  v1::Registered& registered = *reply.mutable_registered();
  *registered.mutable_heartbeat_interval() = ToProto(options_.heartbeat_interval);
  *registered.mutable_lease_timeout() = ToProto(options_.lease_timeout);
  const bool resumed = Resume(session, holding, &registered);
  PublishState(session);
  session.stream->Send(std::move(reply));
  if (holding && !resumed) TellToDrop(session, *holding, "LEASE_LOST");
  match_wanted_ = true;
  return absl::OkStatus();
}

bool LeaseManager::Resume(WorkerSession& session, const std::optional<Lease>& holding,
                          v1::Registered* registered) {
  std::vector<std::string> lost;
  for (auto& [video_id, held] : held_) {
    const bool failed = std::holds_alternative<JobStore::FailedAttempt>(held.outcome);
    if (held.worker_id != session.id || held.session != nullptr || failed) continue;
    // Inputs that were cut off are not sent a second time: the lease goes back to the queue instead.
    if (holding && SameLease(held.lease, *holding) && held.inputs.done()) {
      held.session = &session;
      held.deadline = absl::InfiniteFuture();
      held.last_named = options_.clock();
      held.acknowledged = true;
      held.recovered = false;
      session.video_id = video_id;
      registered->set_clip_bytes_received(held.clip.received());
      registered->set_carry_bytes_received(held.carry.received());
    } else if (held.open()) {
      lost.push_back(video_id);
    }
  }
  for (const std::string& video_id : lost) {
    HeldClip& held = held_.at(video_id);
    auto failure = Failed(absl::StatusCode::kUnavailable, "LEASE_LOST",
                          "The worker came back without the clip.", options_.max_attempts);
    // An attempt is one that the worker began, and that it was not us who broke it off.
    failure.handed_back = held.recovered || !held.acknowledged || !held.inputs.done();
    EndAttempt(held, std::move(failure), "");
  }
  if (!holding) return false;
  if (session.video_id) {
    spdlog::info("lease {}: worker {} is back; {} + {} bytes are here", ToString(*holding), session.id,
                 registered->clip_bytes_received(), registered->carry_bytes_received());
    registered->set_resume(true);
    return true;
  }
  const auto committed = CommittedBy(*holding);
  if (!committed.ok()) return false;
  // It is done, but the worker does not know yet: it will say ClipDone again, and then be told.
  registered->set_resume(true);
  registered->set_clip_bytes_received(committed->mp4.size);
  registered->set_carry_bytes_received(committed->carry.size);
  session.cancelled = holding;
  session.stopping = true;
  session.stopping_since = options_.clock();
  return true;
}

absl::Status LeaseManager::OnHeartbeat(WorkerSession& session, const v1::Heartbeat& message) {
  if (message.draining() && !session.draining) {
    spdlog::info("worker {}: draining", session.id);
    session.draining = true;
  }
  if (message.has_loras()) {
    const absl::Status valid = CheckLoras("heartbeat.loras", message.loras().names());
    if (!valid.ok()) return valid;
    session.loras = {message.loras().names().begin(), message.loras().names().end()};
    spdlog::info("worker {}: now has {} LoRAs", session.id, session.loras.size());
    match_wanted_ = true;
  }
  if (message.has_lease()) return Current(session, message.lease()).status();
  if (session.stopping) {
    session.stopping = false;
    session.idle_since = options_.clock();
    match_wanted_ = true;
  }
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
  ArtifactUpload& upload = message.kind() == v1::ARTIFACT_KIND_CLIP ? (*held)->clip : (*held)->carry;
  const absl::Status appended = upload.Append(message.offset(), message.data());
  if (!appended.ok()) RefuseUpload(**held, appended);
  return absl::OkStatus();
}

absl::Status LeaseManager::OnDone(WorkerSession& session, const v1::ClipDone& message) {
  auto parsed = ParseLease(message.lease());
  if (!parsed.ok()) return parsed.status();
  if (held_.count(parsed->video_id) == 0 || !SameLease(held_.at(parsed->video_id).lease, *parsed)) {
    const auto committed = CommittedBy(*parsed);
    if (committed.ok() && committed->mp4.sha256 == message.clip_sha256()) {
      spdlog::info("lease {}: worker {} is told again that its clip is committed", ToString(*parsed),
                   session.id);
      if (session.stopping && session.cancelled && SameLease(*session.cancelled, *parsed)) {
        session.stopping = false;
        session.idle_since = options_.clock();
        match_wanted_ = true;
      }
      v1::ServerMessage reply;
      *reply.mutable_clip_accepted()->mutable_lease() = message.lease();
      session.stream->Send(std::move(reply));
      return absl::OkStatus();
    }
  }
  auto current = Current(session, message.lease());
  if (!current.ok()) return current.status();
  if (*current == nullptr) return absl::OkStatus();
  HeldClip& held = **current;
  const absl::Status valid = CheckDone(message);
  if (!valid.ok()) {
    RefuseUpload(held, absl::DataLossError(valid.message()));
    return absl::OkStatus();
  }
  FinishedClip finished;
  const absl::Status stored = CommitUploads(held, message, &finished);
  if (!stored.ok()) {
    RefuseUpload(held, stored);
    return absl::OkStatus();
  }
  finished.clip.set_worker(session.name());
  finished.clip.set_frame_count(message.frame_count());
  finished.clip.set_width(message.width());
  finished.clip.set_height(message.height());
  finished.clip.set_fps(message.fps());
  finished.clip.set_size_bytes(finished.mp4.size);
  finished.clip.set_sha256(finished.mp4.sha256);
  *finished.clip.mutable_encode_time() = message.encode_time();
  *finished.clip.mutable_denoise_time() = message.denoise_time();
  *finished.clip.mutable_decode_time() = message.decode_time();
  *finished.clip.mutable_mux_time() = message.mux_time();
  held.outcome = std::move(finished);
  Settle(held);
  return absl::OkStatus();
}

absl::Status LeaseManager::OnFailed(WorkerSession& session, const v1::ClipFailed& message) {
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr) {
    // It was told to drop the lease, and this says that it did.
    session.stopping = false;
    session.idle_since = options_.clock();
    match_wanted_ = true;
    return absl::OkStatus();
  }
  JobStore::FailedAttempt failure;
  failure.error = CleanFailure(message.error());
  failure.permanent = message.permanent();
  // A file that went after the worker told of it may be there on another, which gets the clip then.
  if (failure.error.reason() == "LORA_NOT_FOUND" && ForgetLoras(session, **held)) failure.permanent = false;
  failure.handed_back = message.handed_back() && !message.permanent();
  failure.max_attempts = options_.max_attempts;
  EndAttempt(**held, std::move(failure), "");
  return absl::OkStatus();
}

absl::StatusOr<HeldClip*> LeaseManager::Current(WorkerSession& session, const v1::LeaseId& id) {
  auto lease = ParseLease(id);
  if (!lease.ok()) return lease.status();
  const auto found = held_.find(lease->video_id);
  if (found != held_.end() && SameLease(found->second.lease, *lease)) {
    HeldClip& held = found->second;
    if (held.session == &session) {
      held.acknowledged = true;
      held.last_named = options_.clock();
      return held.open() ? &held : nullptr;
    }
    if (held.worker_id != session.id) {
      return absl::FailedPreconditionError("the lease is another worker's");
    }
  }
  const bool told = session.cancelled && SameLease(*session.cancelled, *lease);
  if (!told) {
    spdlog::info("lease {}: not current any more, worker {} is told to drop it", ToString(*lease),
                 session.id);
    TellToDrop(session, *lease, "LEASE_LOST");
  }
  session.stopping_since = options_.clock();
  return nullptr;
}

void LeaseManager::PumpInputs(WorkerSession& session) {
  if (!session.video_id) return;
  HeldClip& held = held_.at(*session.video_id);
  if (held.inputs.done()) return;
  auto chunk = held.inputs.Next();
  if (!chunk.ok()) {
    spdlog::error("lease {}: an input cannot be read: {}", ToString(held.lease), chunk.status().ToString());
    EndAttempt(held,
               Failed(absl::StatusCode::kInternal, "INPUT_UNREADABLE",
                      "The server could not read what the clip starts from.", options_.max_attempts),
               "LEASE_LOST");
    PublishState(session);
    return;
  }
  held.last_named = options_.clock();
  metrics_->BytesServed(chunk->kind() == v1::INPUT_KIND_IMAGE ? "image" : "carry", chunk->data().size());
  v1::ServerMessage message;
  *message.mutable_artifact_chunk() = *std::move(chunk);
  *message.mutable_artifact_chunk()->mutable_lease() = ToLeaseId(held.lease);
  session.stream->Send(std::move(message));
}

void LeaseManager::RefuseUpload(HeldClip& held, const absl::Status& why) {
  spdlog::warn("lease {}: the upload of worker {} is refused: {}", ToString(held.lease), held.worker_id,
               why.ToString());
  // DATA_LOSS is the worker's or the network's; anything else is our own storage, of which the user learns no
  // more.
  auto failure = absl::IsDataLoss(why)
                     ? Failed(why.code(), "UPLOAD_CORRUPT", CleanText(why.message(), kMaxFailureMessageBytes),
                              options_.max_attempts)
                     : Failed(absl::StatusCode::kInternal, "STORAGE_FAILED",
                              "The server could not store the clip.", options_.max_attempts);
  EndAttempt(held, std::move(failure), "CLIP_REFUSED");
}

}  // namespace svi::server
