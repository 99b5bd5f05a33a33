#include "worker/agent/clip_maker.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "worker/agent/drift_proto.h"
#include "worker/agent/failure.h"
#include "worker/drift/clip_meter.h"
#include "worker/drift/drift.h"
#include "worker/media/media.h"

namespace svi::worker {
namespace {

v1::Stage ToProto(engine::Stage stage) {
  switch (stage) {
    case engine::Stage::kEncode:
      return v1::STAGE_ENCODE;
    case engine::Stage::kDenoise:
      return v1::STAGE_DENOISE;
    case engine::Stage::kDecode:
      return v1::STAGE_DECODE;
  }
  return v1::STAGE_UNSPECIFIED;
}

v1::Progress ToProto(const engine::Progress& from) {
  v1::Progress progress;
  progress.set_stage(ToProto(from.stage));
  progress.set_step(from.step);
  progress.set_total(from.total);
  if (from.eta >= absl::ZeroDuration() && from.eta < absl::InfiniteDuration()) {
    const int64_t millis = absl::ToInt64Milliseconds(from.eta);
    progress.mutable_eta()->set_seconds(millis / 1000);
    progress.mutable_eta()->set_nanos(static_cast<int32_t>(millis % 1000 * 1'000'000));
  }
  return progress;
}

v1::Progress MuxProgress(int step) {
  v1::Progress progress;
  progress.set_stage(v1::STAGE_MUX);
  progress.set_step(step);
  progress.set_total(1);
  return progress;
}

void AddMeasures(const drift::ClipMeter& meter, int clip_index, const v1::ClipMeasures* first,
                 MadeClip* clip) {
  const drift::ClipMeasures measures = meter.measures();
  clip->measures = worker::ToProto(measures);
  std::optional<drift::ClipMeasures> baseline;
  if (clip_index == 0) {
    baseline = measures;
  } else if (first != nullptr) {
    baseline = FromProto(*first);
  }
  if (baseline) clip->drift = worker::ToProto(drift::DriftFrom(*baseline, measures, meter.still()));
}

}  // namespace

absl::StatusOr<MadeClip> MakeClip(engine::Engine& engine, const ClipPlan& plan,
                                  const engine::Picture& picture, const std::string& carry,
                                  const v1::ClipMeasures* first, const ClipHooks& hooks) {
  MadeClip clip;
  clip.width = plan.request.width;
  clip.height = plan.request.height;
  clip.fps = plan.fps;
  std::unique_ptr<media::ClipEncoder> encoder;
  std::optional<drift::ClipMeter> meter;
  int frames = 0;
  engine::ClipCallbacks callbacks;
  callbacks.cancelled = hooks.cancelled;
  callbacks.progress = [&](const engine::Progress& progress) { hooks.progress(ToProto(progress)); };
  callbacks.frame = [&](const engine::Picture& frame) -> absl::Status {
    const absl::Time start = absl::Now();
    if (!encoder) {  // only now: a request that the engine refuses is refused in the engine's words
      auto opened = media::ClipEncoder::Open({.width = clip.width, .height = clip.height, .fps = clip.fps});
      if (!opened.ok()) return opened.status();
      encoder = *std::move(opened);
      auto reference = media::CoverPicture(picture, clip.width, clip.height);
      if (!reference.ok()) return reference.status();
      meter.emplace(*std::move(reference));
    }
    if (absl::Status measured = meter->Add(frame); !measured.ok()) return measured;
    const absl::Status status = encoder->Add(frame);
    clip.mux_time += absl::Now() - start;
    ++frames;
    return status;
  };
  absl::StatusOr<engine::ClipResult> result = engine.GenerateClip(plan.request, picture, carry, callbacks);
  if (!result.ok()) {
    if (plan.request.loras.empty()) return result.status();
    return WithLoraReason(result.status(), plan.request, engine.ScanLoras());
  }
  if (!encoder || frames != result->frame_count) {
    return absl::InternalError(
        absl::StrCat("the engine made ", frames, " frames, and says ", result->frame_count));
  }
  hooks.progress(MuxProgress(0));
  const absl::Time start = absl::Now();
  absl::StatusOr<std::string> mp4 = encoder->Finish();
  if (!mp4.ok()) return mp4.status();
  clip.mux_time += absl::Now() - start;
  hooks.progress(MuxProgress(1));
  clip.mp4 = *std::move(mp4);
  clip.carry = std::move(result->carry);
  clip.frame_count = result->frame_count;
  clip.encode_time = result->encode_time;
  clip.denoise_time = result->denoise_time;
  clip.decode_time = result->decode_time;
  clip.lora_time = result->lora_time;
  AddMeasures(*meter, plan.request.clip_index, first, &clip);
  return clip;
}

}  // namespace svi::worker
