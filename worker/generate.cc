// A video offline: the same requests, engine and encoder as under a server.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/engine.h"
#include "worker/agent/clip_maker.h"
#include "worker/agent/clip_request.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"
#include "worker/media/media.h"

namespace svi::worker {
namespace {

struct GenerateFlags {
  engine::EngineOptions engine;
  std::string out;
  std::vector<std::string> prompts;
  std::string variant = "pro";
  std::string sampler = "unipc";
  std::optional<std::string> negative_prompt;
  std::optional<uint32_t> width, height, frames, steps, fps, num_clips, clips_per_prompt;
  std::optional<float> guidance_scale, shift;
  uint64_t seed = 0;
};

void AddFlags(FlagParser& parser, GenerateFlags* flags) {
  AddEngineFlags(parser, &flags->engine);
  parser.AddString("out", &flags->out, "folder for clip-00000.mp4 and so on; made if need be; required");
  parser.AddRepeated("prompt", &flags->prompts, "what happens in the next clip; give one for each");
  parser.AddString("negative-prompt", &flags->negative_prompt,
                   "what to steer away from; default: the model's");
  parser.AddUint("seed", &flags->seed, "seed of clip 0; clip i uses seed + 42*i");
  parser.AddUint("width", &flags->width, "pixels; default: from the picture and the model");
  parser.AddUint("height", &flags->height, "pixels; default: from the picture and the model");
  parser.AddUint("frames", &flags->frames, "frames denoised a clip, 4k+1; default: the model's");
  parser.AddUint("steps", &flags->steps, "denoising steps; default: the model's");
  parser.AddFloat("guidance-scale", &flags->guidance_scale, "1 is no guidance; default: the model's");
  parser.AddFloat("shift", &flags->shift, "flow shift of the schedule; default: the model's");
  parser.AddUint("fps", &flags->fps, "frames a second of the MP4; default: the model's");
  parser.AddString("variant", &flags->variant, "pro, film or shot");
  parser.AddString("sampler", &flags->sampler, "unipc or euler");
  parser.AddUint("clips-per-prompt", &flags->clips_per_prompt, "clips made from each prompt; default 1");
  parser.AddUint("num-clips", &flags->num_clips, "stop after this many clips; default: all prompts'");
}

absl::Status OutOfRange(absl::string_view flag, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": must be ", wanted));
}

// The server's limits (proto/svi/v1/resources.proto), by the names of the flags.
absl::Status CheckRanges(const GenerateFlags& flags) {
  const auto within = [](const auto& value, auto low, auto high) {
    return !value || (*value >= low && *value <= high);
  };
  if (flags.width.has_value() != flags.height.has_value()) {
    return absl::InvalidArgumentError("--width and --height: set both or neither");
  }
  const auto side = [&](const std::optional<uint32_t>& v) {
    return within(v, 32u, 4096u) && v.value_or(0) % 32 == 0;
  };
  if (!side(flags.width)) return OutOfRange("width", "a multiple of 32, 32..4096");
  if (!side(flags.height)) return OutOfRange("height", "a multiple of 32, 32..4096");
  if (!within(flags.frames, 5u, 257u) || flags.frames.value_or(1) % 4 != 1)
    return OutOfRange("frames", "4k+1, 5..257");
  if (!within(flags.steps, 1u, 1000u)) return OutOfRange("steps", "1..1000");
  if (!within(flags.guidance_scale, 1.0f, 30.0f)) return OutOfRange("guidance-scale", "1..30");
  if (!within(flags.shift, 0.1f, 100.0f)) return OutOfRange("shift", "0.1..100");
  if (!within(flags.fps, 1u, 120u)) return OutOfRange("fps", "1..120");
  if (!within(flags.clips_per_prompt, 1u, 1024u)) return OutOfRange("clips-per-prompt", "1..1024");
  if (!within(flags.num_clips, 1u, 100000u)) return OutOfRange("num-clips", "1..100000");
  if (flags.seed > uint64_t{1} << 62) return OutOfRange("seed", "0..2^62");
  return absl::OkStatus();
}

absl::StatusOr<v1::VideoSpec> ToSpec(const GenerateFlags& flags) {
  if (flags.engine.model_dir.empty()) return absl::InvalidArgumentError("--model is required");
  if (flags.out.empty()) return absl::InvalidArgumentError("--out is required");
  if (flags.prompts.empty()) return absl::InvalidArgumentError("--prompt is required");
  for (const std::string& prompt : flags.prompts) {
    if (prompt.find_first_not_of(" \t\r\n") == std::string::npos)
      return OutOfRange("prompt", "more than blanks");
    if (prompt.size() > 16384) return OutOfRange("prompt", "at most 16384 bytes");
  }
  if (absl::Status status = CheckRanges(flags); !status.ok()) return status;
  v1::VideoSpec spec;
  for (const std::string& prompt : flags.prompts) spec.add_prompts(prompt);
  if (flags.negative_prompt) spec.set_negative_prompt(*flags.negative_prompt);
  if (flags.width) spec.set_width(*flags.width);
  if (flags.height) spec.set_height(*flags.height);
  if (flags.frames) spec.set_num_frames(*flags.frames);
  if (flags.steps) spec.set_num_inference_steps(*flags.steps);
  if (flags.guidance_scale) spec.set_guidance_scale(*flags.guidance_scale);
  if (flags.shift) spec.set_flow_shift(*flags.shift);
  if (flags.fps) spec.set_fps(*flags.fps);
  spec.set_seed(flags.seed);
  if (flags.variant == "pro") {
    spec.set_variant(v1::VARIANT_PRO);
  } else if (flags.variant == "film") {
    spec.set_variant(v1::VARIANT_FILM);
  } else if (flags.variant == "shot") {
    spec.set_variant(v1::VARIANT_SHOT);
  } else {
    return OutOfRange("variant", "pro, film or shot");
  }
  if (flags.sampler == "unipc") {
    spec.set_sampler(v1::SAMPLER_UNIPC);
  } else if (flags.sampler == "euler") {
    spec.set_sampler(v1::SAMPLER_EULER);
  } else {
    return OutOfRange("sampler", "unipc or euler");
  }
  const uint32_t per_prompt = flags.clips_per_prompt.value_or(1);
  const uint64_t all = uint64_t{flags.prompts.size()} * per_prompt;
  spec.set_clips_per_prompt(per_prompt);
  spec.set_num_clips(flags.num_clips.value_or(static_cast<uint32_t>(all)));
  if (spec.num_clips() > all && spec.variant() != v1::VARIANT_SHOT) {
    return OutOfRange("num-clips", absl::StrCat("at most ", all, ", since the prompts make no more"));
  }
  return spec;
}

absl::StatusOr<engine::Picture> ReadPicture(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::strerror(errno)));
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  absl::StatusOr<engine::Picture> picture = media::DecodePicture(bytes);
  if (!picture.ok())
    return absl::Status(picture.status().code(), absl::StrCat(path, ": ", picture.status().message()));
  return picture;
}

// Under its final name only once it is whole.
absl::Status WriteClip(const std::filesystem::path& path, const std::string& bytes) {
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream out(part, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(part, path, error);
  if (!out || error) return absl::InternalError(absl::StrCat(path.string(), ": cannot be written"));
  return absl::OkStatus();
}

absl::Status MakeVideo(engine::Engine& engine, const v1::VideoSpec& spec, const engine::Picture& picture,
                       const std::filesystem::path& out) {
  std::string carry;
  for (uint32_t i = 0; i < spec.num_clips(); ++i) {
    const int at = spec.variant() == v1::VARIANT_SHOT ? 0 : static_cast<int>(i / spec.clips_per_prompt());
    absl::StatusOr<ClipPlan> plan =
        PlanClip(spec, i, spec.prompts(at), ClipSeed(spec.seed(), i), engine.info().defaults, picture);
    if (!plan.ok()) return plan.status();
    ClipHooks hooks;
    hooks.progress = [i](const v1::Progress& progress) {
      if (progress.stage() != v1::STAGE_DENOISE) return;
      std::fprintf(stderr, "clip %u: step %u of %u\n", i, progress.step(), progress.total());
    };
    absl::StatusOr<MadeClip> clip = MakeClip(engine, *plan, picture, carry, hooks);
    if (!clip.ok()) return clip.status();
    const std::filesystem::path path = out / absl::StrFormat("clip-%05d.mp4", i);
    if (absl::Status status = WriteClip(path, clip->mp4); !status.ok()) return status;
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    carry = std::move(clip->carry);
  }
  return absl::OkStatus();
}

}  // namespace

int Generate(const std::vector<std::string>& args) {
  GenerateFlags flags;
  FlagParser parser(
      "svi-worker generate PICTURE --model=DIR --prompt=TEXT... --out=DIR [flags]\n\nMakes a video from a "
      "picture, "
      "offline; one MP4 a clip.");
  AddFlags(parser, &flags);
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (positional.size() != 1) return UsageError("generate takes one PICTURE");
  absl::StatusOr<v1::VideoSpec> spec = ToSpec(flags);
  if (!spec.ok()) return Fail(spec.status());
  absl::StatusOr<engine::Picture> picture = ReadPicture(positional[0]);
  if (!picture.ok()) return Fail(picture.status());
  std::error_code error;
  std::filesystem::create_directories(flags.out, error);
  if (error) return UsageError("--out: " + flags.out + ": " + error.message());
  absl::StatusOr<std::unique_ptr<engine::Engine>> engine = engine::Engine::Load(flags.engine);
  if (!engine.ok()) {
    Fail(engine.status());
    return kFailed;
  }
  if (absl::Status status = MakeVideo(**engine, *spec, *picture, flags.out); !status.ok())
    return Fail(status);
  return kOk;
}

}  // namespace svi::worker
