#include "worker/drift_chain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "worker/agent/clip_request.h"
#include "worker/drift/clip_meter.h"
#include "worker/drift/direction.h"
#include "worker/drift/drift.h"
#include "worker/files.h"
#include "worker/media/media.h"

namespace svi::worker {
namespace {

// The frames of one measured clip.
struct Meters {
  explicit Meters(engine::Picture reference) : clip(std::move(reference)) {}

  absl::Status Add(const engine::Picture& frame) {
    if (clip.frames() == 0) first = frame;
    last = frame;
    direction.Add(frame);
    return clip.Add(frame);
  }

  drift::ClipMeter clip;
  drift::DirectionMeter direction;
  engine::Picture first, last;
};

absl::Status SavePng(const std::filesystem::path& path, const engine::Picture& picture) {
  const absl::StatusOr<std::string> png = media::EncodePng(picture);
  if (!png.ok()) return png.status();
  return WriteWholeFile(path, *png);
}

absl::Status SaveFrames(const std::filesystem::path& dir, int scene, int clip, const Meters& meters) {
  const std::string name = absl::StrFormat("scene-%05d-clip-%05d", scene, clip);
  if (absl::Status status = SavePng(dir / (name + "-first.png"), meters.first); !status.ok()) return status;
  return SavePng(dir / (name + "-last.png"), meters.last);
}

drift::MeasuredClip Conclude(const Meters& meters, int clip, const std::vector<drift::MeasuredClip>& before) {
  drift::MeasuredClip measured;
  measured.clip = clip;
  measured.measures = meters.clip.measures();
  const drift::StillSimilarity still = meters.clip.still();
  measured.static_share = still.share;
  measured.drift = drift::DriftFrom(before.empty() ? measured.measures : before.front().measures,
                                    measured.measures, still);
  measured.motion = meters.direction.motion();
  return measured;
}

}  // namespace

absl::StatusOr<drift::MeasuredScene> MeasureScene(engine::Engine& engine, const v1::VideoSpec& spec,
                                                  const DriftScene& scene, int scene_index,
                                                  const DriftChainOptions& options) {
  const absl::StatusOr<engine::Picture> picture = ReadPicture(scene.picture);
  if (!picture.ok()) return picture.status();
  drift::MeasuredScene result{scene.name, scene.prompt, scene.seed, scene.direction, {}, {}};
  std::string carry;
  for (int clip = 1; clip <= options.clips; ++clip) {
    const uint32_t index = static_cast<uint32_t>(clip - 1);
    const absl::StatusOr<ClipPlan> plan =
        PlanClip(spec, index, scene.prompt, ClipSeed(scene.seed, index), engine.info().defaults, *picture);
    if (!plan.ok()) return plan.status();
    engine::ClipCallbacks callbacks;
    std::optional<Meters> meters;
    if (std::binary_search(options.measured.begin(), options.measured.end(), clip)) {
      absl::StatusOr<engine::Picture> reference =
          media::CoverPicture(*picture, plan->request.width, plan->request.height);
      if (!reference.ok()) return reference.status();
      meters.emplace(*std::move(reference));
      callbacks.frame = [&meters](const engine::Picture& frame) { return meters->Add(frame); };
    } else {
      callbacks.frame = nullptr;
    }
    absl::StatusOr<engine::ClipResult> made = engine.GenerateClip(plan->request, *picture, carry, callbacks);
    if (absl::IsInternal(made.status())) {
      result.error = absl::StrFormat("clip %d: %s", clip, made.status().message());
      return result;
    }
    if (!made.ok()) return made.status();
    carry = std::move(made->carry);
    if (meters) {
      result.clips.push_back(Conclude(*meters, clip, result.clips));
      if (!options.frames_dir.empty()) {
        absl::Status saved = SaveFrames(options.frames_dir, scene_index, clip, *meters);
        if (!saved.ok()) return saved;
      }
    }
    options.made(clip);
  }
  return result;
}

}  // namespace svi::worker
