#include "server/lease/worker_messages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/lora_name.h"
#include "server/lease/clip_measures.h"

namespace svi::server {
namespace {

constexpr absl::string_view kVideoPrefix = "videos/";
constexpr size_t kMaxNegativePrompt = 16384;
constexpr int kMaxWarmVideos = 4096;
constexpr uint32_t kMaxFrames = 257;
constexpr uint32_t kMaxSide = 4096;
constexpr uint32_t kMaxFps = 120;
constexpr uint32_t kMaxSteps = 1000000;

}  // namespace

absl::Status CheckRegister(const v1::Register& message) {
  if (!IsWorkerId(message.worker_id())) {
    return absl::InvalidArgumentError("register.worker_id: 1..64 characters of [a-z0-9-]");
  }
  if (message.warm_videos_size() > kMaxWarmVideos) {
    return absl::InvalidArgumentError(absl::StrCat("register.warm_videos: at most ", kMaxWarmVideos));
  }
  return First({
      CheckLoras("register.loras", message.loras()),
      CheckLength("register.version", message.version(), kMaxLabelBytes),
      CheckLength("register.device", message.device(), kMaxLabelBytes),
      CheckLength("register.model", message.model(), kMaxLabelBytes),
      CheckLength("register.defaults.negative_prompt", message.defaults().negative_prompt(),
                  kMaxNegativePrompt),
  });
}

absl::Status CheckLoras(absl::string_view field,
                        const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.size() > kMaxLoras) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": at most ", kMaxLoras));
  }
  if (!std::all_of(names.begin(), names.end(), [](const std::string& name) { return IsLoraName(name); })) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": each 1..128 characters of [A-Za-z0-9._-]"));
  }
  return absl::OkStatus();
}

absl::Status CheckChunk(const v1::ClipChunk& message) {
  if (message.kind() != v1::ARTIFACT_KIND_CLIP && message.kind() != v1::ARTIFACT_KIND_CARRY) {
    return absl::InvalidArgumentError("clip_chunk.kind: not a known kind");
  }
  return CheckData("clip_chunk.data", message.data());
}

absl::Status CheckDone(const v1::ClipDone& message) {
  if (message.clip_bytes() == 0) return absl::InvalidArgumentError("clip_done.clip_bytes: 0");
  if (message.carry_bytes() == 0) return absl::InvalidArgumentError("clip_done.carry_bytes: 0");
  return First({
      CheckRange("clip_done.clip_sha256 (bytes)", message.clip_sha256().size(), kSha256Bytes, kSha256Bytes),
      CheckRange("clip_done.carry_sha256 (bytes)", message.carry_sha256().size(), kSha256Bytes, kSha256Bytes),
      CheckRange("clip_done.frame_count", message.frame_count(), 1, kMaxFrames),
      CheckRange("clip_done.width", message.width(), 1, kMaxSide),
      CheckRange("clip_done.height", message.height(), 1, kMaxSide),
      CheckRange("clip_done.fps", message.fps(), 1, kMaxFps),
      CheckDuration("clip_done.encode_time", message.encode_time()),
      CheckDuration("clip_done.denoise_time", message.denoise_time()),
      CheckDuration("clip_done.decode_time", message.decode_time()),
      CheckDuration("clip_done.mux_time", message.mux_time()),
      CheckMeasures(message),
  });
}

absl::Status CheckProgress(const v1::Progress& progress) {
  if (progress.stage() == v1::STAGE_UNSPECIFIED || !v1::Stage_IsValid(progress.stage())) {
    return absl::InvalidArgumentError("progress.stage: not a known stage");
  }
  return First({
      CheckRange("progress.total", progress.total(), 0, kMaxSteps),
      CheckRange("progress.step", progress.step(), 0, progress.total()),
      CheckDuration("progress.eta", progress.eta()),
  });
}

absl::StatusOr<Lease> ParseLease(const v1::LeaseId& id) {
  absl::string_view video = id.video();
  if (video.substr(0, kVideoPrefix.size()) != kVideoPrefix) {
    return absl::InvalidArgumentError("lease.video: not `videos/{id}`");
  }
  video.remove_prefix(kVideoPrefix.size());
  if (!IsJobId(video)) return absl::InvalidArgumentError("lease.video: not `videos/{id}`");
  if (id.epoch() == 0) return absl::InvalidArgumentError("lease.epoch: 0");
  return Lease{std::string(video), id.clip_index(), id.epoch()};
}

v1::LeaseId ToLeaseId(const Lease& lease) {
  v1::LeaseId id;
  id.set_video(absl::StrCat(kVideoPrefix, lease.video_id));
  id.set_clip_index(lease.clip_index);
  id.set_epoch(lease.epoch);
  return id;
}

std::string ToString(const Lease& lease) {
  return absl::StrCat(lease.video_id, "/", lease.clip_index, " e", lease.epoch);
}

std::string ClipKey(const Lease& lease) {
  return absl::StrFormat("%s/clip-%05d.e%d.mp4", lease.video_id, lease.clip_index, lease.epoch);
}

std::string CarryKey(const Lease& lease) {
  return absl::StrFormat("%s/clip-%05d.e%d.carry", lease.video_id, lease.clip_index, lease.epoch);
}

}  // namespace svi::server
