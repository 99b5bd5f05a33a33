// The agent's connection, and what the server says on it.
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

constexpr absl::Duration kRegisterTimeout = absl::Seconds(20);
constexpr double kBackoffFactor = 1.6;
constexpr double kJitter = 0.2;
// The API takes pictures to 32 MiB; a carry of the largest clip is far below this. More is a broken server.
constexpr uint64_t kMaxImageBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxCarryBytes = uint64_t{2} << 30;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

std::function<void()> Agent::OnThisStream(std::function<void()> task) {
  return [this, number = stream_number_, task = std::move(task)] {
    if (stream_ && number == stream_number_) task();
  };
}

void Agent::Connect() {
  ++stream_number_;
  registered_ = writing_ = half_closed_ = resuming_ = false;
  control_.clear();
  progress_.clear();
  // What a callback brings is wrapped once more, since std::function wants to copy.
  WorkStream::Callbacks callbacks;
  const auto post = [mailbox = mailbox_](std::function<void()> task) { mailbox->Post(std::move(task)); };
  const uint64_t number = stream_number_;
  callbacks.message = [this, post, number](v1::ServerMessage message) {
    auto shared = std::make_shared<v1::ServerMessage>(std::move(message));
    post([this, number, shared] {
      if (stream_ && number == stream_number_) OnMessage(std::move(*shared));
    });
  };
  callbacks.ended = [post, ended = OnThisStream([this] { Disconnected(); })] { post(ended); };
  callbacks.written = [this, post, number](bool ok) {
    post([this, number, ok] {
      if (stream_ && number == stream_number_) OnWritten(ok);
    });
  };
  callbacks.closed = [this, post](const grpc::Status& status, std::shared_ptr<WorkStream> stream) {
    post([this, status, stream = std::move(stream)] {
      --open_streams_;
      if (!status.ok() && status.error_code() != grpc::StatusCode::CANCELLED) {
        spdlog::warn("connection: {}", status.error_message());
      }
    });
  };
  ++open_streams_;
  stream_ = WorkStream::Start(options_.server, std::move(callbacks));
  stream_->Read();
  register_deadline_ = absl::Now() + kRegisterTimeout;

  v1::WorkerMessage message;
  v1::Register& hello = *message.mutable_register_();
  const engine::EngineInfo& info = engine_->info();
  hello.set_worker_id(options_.worker_id);
  hello.set_version(options_.version);
  hello.set_device(info.device);
  hello.set_model(info.model_label);
  *hello.mutable_defaults() = ToProto(info.defaults);
  for (std::string& video : warm_.Videos()) hello.add_warm_videos(std::move(video));
  told_loras_ = ScanLoras();
  hello.mutable_loras()->Add(told_loras_.begin(), told_loras_.end());
  if (lease_) {
    *hello.mutable_holding() = lease_->work->assign.lease();
    resuming_ = true;
  }
  writing_ = true;
  after_write_ = nullptr;
  stream_->Write(std::move(message));
}

void Agent::Disconnected() {
  stream_->Release();
  stream_.reset();
  if (registered_) spdlog::warn("disconnected");
  registered_ = writing_ = half_closed_ = false;
  after_write_ = nullptr;
  control_.clear();
  progress_.clear();
  metrics_->SetConnected(false);
  next_heartbeat_ = register_deadline_ = close_time_ = absl::InfiniteFuture();
  // Inputs are not sent a second time.
  if (lease_ && lease_->phase == Phase::kReceiving) DropLease("lost");
  const double jitter = std::uniform_real_distribution<double>(1 - kJitter, 1 + kJitter)(random_);
  next_connect_ = absl::Now() + backoff_ * jitter;
  backoff_ = std::min(backoff_ * kBackoffFactor, options_.max_backoff);
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
  // Only now: what is not handled yet stays with the sender.
  if (stream_) stream_->Read();
}

void Agent::OnRegistered(const v1::Registered& registered) {
  if (registered_) return;
  registered_ = true;
  register_deadline_ = absl::InfiniteFuture();
  backoff_ = options_.min_backoff;
  heartbeat_interval_ = std::max(FromProto(registered.heartbeat_interval()), absl::Milliseconds(10));
  metrics_->SetConnected(true);
  spdlog::info("registered with {} as {}", options_.server, options_.worker_id);
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
  if (draining_ || lease_ || assign.image_bytes() > kMaxImageBytes || assign.carry_bytes() > kMaxCarryBytes) {
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
