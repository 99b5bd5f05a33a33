// What the agent sends.
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

v1::WorkerMessage Agent::Hello() {
  v1::WorkerMessage message;
  v1::Register& hello = *message.mutable_register_();
  const engine::EngineInfo& info = engine_->info();
  hello.set_worker_id(connection().worker_id);
  hello.set_version(connection().version);
  hello.set_device(info.device);
  hello.set_model(info.model_label);
  *hello.mutable_defaults() = ToProto(info.defaults);
  for (std::string& video : warm_.Videos()) hello.add_warm_videos(std::move(video));
  told_loras_ = ScanLoras();
  hello.mutable_loras()->Add(told_loras_.begin(), told_loras_.end());
  resuming_ = lease_.has_value();
  if (lease_) *hello.mutable_holding() = lease_->work->assign.lease();
  return message;
}

v1::WorkerMessage Agent::Heartbeat() {
  v1::WorkerMessage message;
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  if (lease_) {
    *heartbeat.mutable_lease() = lease_->work->assign.lease();
  } else if (making_) {
    *heartbeat.mutable_lease() = making_->assign.lease();  // dropped, but the engine is not free yet
  }
  heartbeat.set_draining(draining());
  if (const std::vector<std::string>& names = ScanLoras(); names != told_loras_) {
    heartbeat.mutable_loras()->mutable_names()->Add(names.begin(), names.end());
    told_loras_ = names;
  }
  return message;
}

const std::vector<std::string>& Agent::ScanLoras() {
  engine::LoraFolder folder = engine_->ScanLoras();
  metrics_->SetLoras(folder.loras.size(), folder.refused.size());
  loras_.Update(std::move(folder));
  return loras_.names();
}

// Progress first, then the clip.
std::optional<v1::WorkerMessage> Agent::NextData() {
  if (progress_.empty()) return NextOfLease();
  v1::WorkerMessage message = std::move(progress_.front());
  progress_.pop_front();
  return message;
}

std::optional<v1::WorkerMessage> Agent::NextOfLease() {
  if (!lease_) return std::nullopt;
  v1::WorkerMessage message;
  if (lease_->phase == Phase::kFailed) {
    if (lease_->failure_sent) return std::nullopt;
    lease_->failure_sent = true;
    *message.mutable_clip_failed() = lease_->failure;
    AfterWrite([this, work = lease_->work] {
      if (!lease_ || lease_->work != work) return;
      DropLease(nullptr);
      if (!making_) SendHeartbeat();
    });
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
  *done.mutable_measures() = clip.measures;
  if (clip.drift) *done.mutable_drift() = *clip.drift;
  return done;
}

}  // namespace svi::worker
