// What the agent sends: control messages first, then progress, then the clip, so that a long upload never
// delays a heartbeat.
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "worker/agent/agent.h"

namespace svi::worker {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

google::protobuf::Duration ToProto(absl::Duration duration) {
  const int64_t nanos = std::max<int64_t>(absl::ToInt64Nanoseconds(duration), 0);
  google::protobuf::Duration proto;
  proto.set_seconds(nanos / 1'000'000'000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return proto;
}

}  // namespace

void Agent::SendHeartbeat() {
  v1::WorkerMessage message;
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  if (lease_) {
    *heartbeat.mutable_lease() = lease_->work->assign.lease();
  } else if (making_) {
    *heartbeat.mutable_lease() = making_->assign.lease();  // dropped, but the engine is not free yet
  }
  heartbeat.set_draining(draining_);
  if (const std::vector<std::string>& names = ScanLoras(); names != told_loras_) {
    heartbeat.mutable_loras()->mutable_names()->Add(names.begin(), names.end());
    told_loras_ = names;
  }
  next_heartbeat_ = absl::Now() + heartbeat_interval_;
  Send(std::move(message));
}

const std::vector<std::string>& Agent::ScanLoras() {
  engine::LoraFolder folder = engine_->ScanLoras();
  metrics_->SetLoras(folder.loras.size(), folder.refused.size());
  loras_.Update(std::move(folder));
  return loras_.names();
}

void Agent::Send(v1::WorkerMessage message) {
  if (!stream_ || !registered_ || half_closed_) return;
  control_.push_back(std::move(message));
  PumpWrites();
}

void Agent::PumpWrites() {
  if (!stream_ || !registered_ || writing_ || half_closed_) return;
  after_write_ = nullptr;
  std::optional<v1::WorkerMessage> message = NextMessage();
  if (!message) return;
  writing_ = true;
  stream_->Write(*std::move(message));
}

std::optional<v1::WorkerMessage> Agent::NextMessage() {
  for (auto* queue : {&control_, &progress_}) {
    if (queue->empty()) continue;
    v1::WorkerMessage message = std::move(queue->front());
    queue->pop_front();
    return message;
  }
  return NextOfLease();
}

std::optional<v1::WorkerMessage> Agent::NextOfLease() {
  if (!lease_) return std::nullopt;
  v1::WorkerMessage message;
  if (lease_->phase == Phase::kFailed) {
    *message.mutable_clip_failed() = lease_->failure;
    after_write_ = [this, work = lease_->work] {
      if (!lease_ || lease_->work != work) return;
      DropLease(nullptr);
      if (!making_) SendHeartbeat();
    };
    return message;
  }
  if (lease_->phase != Phase::kUploading || lease_->done_sent) return std::nullopt;
  const MadeClip& clip = *lease_->outcome.clip;
  if (lease_->clip_sent < clip.mp4.size())
    return NextChunk(v1::ARTIFACT_KIND_CLIP, clip.mp4, &lease_->clip_sent);
  if (lease_->carry_sent < clip.carry.size()) {
    return NextChunk(v1::ARTIFACT_KIND_CARRY, clip.carry, &lease_->carry_sent);
  }
  lease_->done_sent = true;
  *message.mutable_clip_done() = DoneMessage();
  return message;
}

v1::WorkerMessage Agent::NextChunk(v1::ArtifactKind kind, const std::string& bytes, size_t* sent) {
  v1::WorkerMessage message;
  v1::ClipChunk& chunk = *message.mutable_clip_chunk();
  *chunk.mutable_lease() = lease_->work->assign.lease();
  chunk.set_kind(kind);
  chunk.set_offset(*sent);
  chunk.set_data(bytes.substr(*sent, kChunkBytes));
  *sent += chunk.data().size();
  const MadeClip& clip = *lease_->outcome.clip;
  const auto chunks = [](size_t size) {
    return static_cast<uint32_t>((size + kChunkBytes - 1) / kChunkBytes);
  };
  // Goes out before the next chunk.
  v1::WorkerMessage report;
  *report.mutable_progress()->mutable_lease() = chunk.lease();
  v1::Progress& progress = *report.mutable_progress()->mutable_progress();
  progress.set_stage(v1::STAGE_UPLOAD);
  progress.set_total(chunks(clip.mp4.size()) + chunks(clip.carry.size()));
  progress.set_step(chunks(lease_->clip_sent) + chunks(lease_->carry_sent));
  progress_.push_back(std::move(report));
  return message;
}

v1::ClipDone Agent::DoneMessage() const {
  const MadeClip& clip = *lease_->outcome.clip;
  v1::ClipDone done;
  *done.mutable_lease() = lease_->work->assign.lease();
  done.set_clip_bytes(clip.mp4.size());
  done.set_clip_sha256(lease_->outcome.clip_sha256);
  done.set_carry_bytes(clip.carry.size());
  done.set_carry_sha256(lease_->outcome.carry_sha256);
  done.set_frame_count(clip.frame_count);
  done.set_width(clip.width);
  done.set_height(clip.height);
  done.set_fps(clip.fps);
  *done.mutable_encode_time() = ToProto(clip.encode_time);
  *done.mutable_denoise_time() = ToProto(clip.denoise_time);
  *done.mutable_decode_time() = ToProto(clip.decode_time);
  *done.mutable_mux_time() = ToProto(clip.mux_time);
  return done;
}

void Agent::OnWritten(bool ok) {
  writing_ = false;
  if (!ok) return;  // the read that is under way finds the end as well
  if (const std::function<void()> after = std::exchange(after_write_, nullptr)) after();
  PumpWrites();
}

}  // namespace svi::worker
