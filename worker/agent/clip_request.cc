#include "worker/agent/clip_request.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/engine.h"

namespace svi::worker {
namespace {

constexpr uint64_t kSeedStride = 42;  // SVI's own

absl::StatusOr<engine::Variant> ToVariant(v1::Variant variant) {
  switch (variant) {
    case v1::VARIANT_UNSPECIFIED:
    case v1::VARIANT_PRO:
      return engine::Variant::kPro;
    case v1::VARIANT_FILM:
      return engine::Variant::kFilm;
    case v1::VARIANT_SHOT:
      return engine::Variant::kShot;
    default:
      return absl::InvalidArgumentError(absl::StrCat("variant ", static_cast<int>(variant), " is not known"));
  }
}

absl::StatusOr<engine::Sampler> ToSampler(v1::Sampler sampler) {
  switch (sampler) {
    case v1::SAMPLER_UNSPECIFIED:
    case v1::SAMPLER_UNIPC:
      return engine::Sampler::kUniPc;
    case v1::SAMPLER_EULER:
      return engine::Sampler::kEuler;
    default:
      return absl::InvalidArgumentError(absl::StrCat("sampler ", static_cast<int>(sampler), " is not known"));
  }
}

}  // namespace

uint64_t ClipSeed(uint64_t video_seed, uint32_t clip_index) { return video_seed + kSeedStride * clip_index; }

absl::StatusOr<ClipPlan> PlanClip(const v1::VideoSpec& spec, uint32_t clip_index, const std::string& prompt,
                                  uint64_t seed, const engine::ModelDefaults& defaults,
                                  const engine::Picture& picture) {
  absl::StatusOr<engine::Variant> variant = ToVariant(spec.variant());
  if (!variant.ok()) return variant.status();
  absl::StatusOr<engine::Sampler> sampler = ToSampler(spec.sampler());
  if (!sampler.ok()) return sampler.status();
  if (spec.has_width() != spec.has_height()) {
    return absl::InvalidArgumentError("width and height: set both or neither");
  }
  ClipPlan plan;
  engine::ClipRequest& request = plan.request;
  request.clip_index = static_cast<int>(clip_index);
  request.prompt = prompt;
  request.negative_prompt = spec.has_negative_prompt() ? spec.negative_prompt() : defaults.negative_prompt;
  if (spec.has_width()) {
    request.width = static_cast<int>(spec.width());
    request.height = static_cast<int>(spec.height());
  } else {
    engine::DefaultSize(defaults, picture.width, picture.height, &request.width, &request.height);
  }
  request.num_frames = spec.has_num_frames() ? static_cast<int>(spec.num_frames()) : defaults.num_frames;
  request.num_inference_steps = spec.has_num_inference_steps() ? static_cast<int>(spec.num_inference_steps())
                                                               : defaults.num_inference_steps;
  request.guidance_scale = spec.has_guidance_scale() ? spec.guidance_scale() : defaults.guidance_scale;
  request.flow_shift = spec.has_flow_shift() ? spec.flow_shift() : defaults.flow_shift;
  request.seed = seed;
  request.variant = *variant;
  request.sampler = *sampler;
  for (const v1::LoraRef& lora : spec.lora()) {
    request.loras.push_back({.name = lora.name(), .strength = lora.has_strength() ? lora.strength() : 1.0f});
  }
  plan.fps = spec.has_fps() ? static_cast<int>(spec.fps()) : defaults.fps;
  return plan;
}

v1::ModelDefaults ToProto(const engine::ModelDefaults& defaults) {
  v1::ModelDefaults proto;
  proto.set_max_area(defaults.max_area);
  proto.set_size_multiple(defaults.size_multiple);
  proto.set_num_frames(defaults.num_frames);
  proto.set_num_inference_steps(defaults.num_inference_steps);
  proto.set_guidance_scale(static_cast<float>(defaults.guidance_scale));
  proto.set_flow_shift(static_cast<float>(defaults.flow_shift));
  proto.set_fps(defaults.fps);
  proto.set_negative_prompt(defaults.negative_prompt);
  return proto;
}

}  // namespace svi::worker
