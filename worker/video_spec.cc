#include "worker/video_spec.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/lora_name.h"

namespace svi::worker {
namespace {

absl::Status OutOfRange(absl::string_view flag, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": must be ", wanted));
}

absl::Status CheckText(const v1::VideoSpec& spec) {
  for (const std::string& prompt : spec.prompts()) {
    if (prompt.find_first_not_of(" \t\r\n") == std::string::npos)
      return OutOfRange("prompt", "more than blanks");
    if (prompt.size() > 16384) return OutOfRange("prompt", "at most 16384 bytes");
  }
  if (spec.lora_size() > kMaxLorasOfVideo) {
    return OutOfRange("lora", absl::StrCat("given at most ", kMaxLorasOfVideo, " times"));
  }
  for (const v1::LoraRef& lora : spec.lora()) {
    if (!(lora.strength() >= -4 && lora.strength() <= 4)) return OutOfRange("lora", "of a strength in -4..4");
  }
  return absl::OkStatus();
}

// NaN is outside every range.
absl::Status CheckRanges(const v1::VideoSpec& spec) {
  const auto within = [](bool given, auto value, auto low, auto high) {
    return !given || (value >= low && value <= high);
  };
  if (spec.has_width() != spec.has_height()) {
    return absl::InvalidArgumentError("--width and --height: set both or neither");
  }
  const auto side = [&](bool given, uint32_t value) {
    return within(given, value, 32u, 4096u) && value % 32 == 0;
  };
  if (!side(spec.has_width(), spec.width())) return OutOfRange("width", "a multiple of 32, 32..4096");
  if (!side(spec.has_height(), spec.height())) return OutOfRange("height", "a multiple of 32, 32..4096");
  if (spec.has_num_frames() && (!within(true, spec.num_frames(), 5u, 257u) || spec.num_frames() % 4 != 1))
    return OutOfRange("frames", "4k+1, 5..257");
  if (!within(spec.has_num_inference_steps(), spec.num_inference_steps(), 1u, 1000u))
    return OutOfRange("steps", "1..1000");
  if (!within(spec.has_guidance_scale(), spec.guidance_scale(), 1.0f, 30.0f))
    return OutOfRange("guidance-scale", "1..30");
  if (!within(spec.has_flow_shift(), spec.flow_shift(), 0.1f, 100.0f)) return OutOfRange("shift", "0.1..100");
  if (!within(spec.has_fps(), spec.fps(), 1u, 120u)) return OutOfRange("fps", "1..120");
  if (!within(spec.has_clips_per_prompt(), spec.clips_per_prompt(), 1u, 1024u))
    return OutOfRange("clips-per-prompt", "1..1024");
  if (!within(spec.has_num_clips(), spec.num_clips(), 1u, 100000u))
    return OutOfRange("num-clips", "1..100000");
  if (spec.seed() > uint64_t{1} << 62) return OutOfRange("seed", "0..2^62");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckVideoSpec(const v1::VideoSpec& spec) {
  if (absl::Status status = CheckText(spec); !status.ok()) return status;
  return CheckRanges(spec);
}

}  // namespace svi::worker
