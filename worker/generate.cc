// A video offline: the same requests, engine and encoder as under a server.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/lora_name.h"
#include "client/video_flags.h"
#include "engine/engine.h"
#include "worker/agent/clip_maker.h"
#include "worker/agent/clip_request.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"
#include "worker/media/media.h"

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

// The server's limits (proto/svi/v1/resources.proto), by the names of the flags. NaN is outside every range.
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

// The spec with the number of its clips filled in.
absl::StatusOr<v1::VideoSpec> ToSpec(const VideoFlags& flags) {
  absl::StatusOr<v1::VideoSpec> spec = flags.ToSpec();
  if (!spec.ok()) return spec;
  if (absl::Status status = CheckText(*spec); !status.ok()) return status;
  if (absl::Status status = CheckRanges(*spec); !status.ok()) return status;
  if (!spec->has_clips_per_prompt()) spec->set_clips_per_prompt(1);
  const uint64_t all = static_cast<uint64_t>(spec->prompts_size()) * spec->clips_per_prompt();
  if (!spec->has_num_clips()) spec->set_num_clips(static_cast<uint32_t>(all));
  if (spec->num_clips() > all && spec->variant() != v1::VARIANT_SHOT) {
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
  engine::EngineOptions options;
  VideoFlags video_flags;
  std::string out;
  FlagParser parser(
      "svi-worker generate PICTURE --model=DIR --prompt=TEXT... --out=DIR [flags]\n\nMakes a video from a "
      "picture, offline; one MP4 a clip.");
  AddEngineFlags(parser, &options);
  parser.AddString("out", &out, "folder for clip-00000.mp4 and so on; made if need be; required");
  video_flags.AddTo(parser);
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (positional.size() != 1) return UsageError("generate takes one PICTURE");
  if (options.model_dir.empty()) return UsageError("--model is required");
  if (out.empty()) return UsageError("--out is required");
  absl::StatusOr<v1::VideoSpec> spec = ToSpec(video_flags);
  if (!spec.ok()) return Fail(spec.status());
  if (!spec->lora().empty() && options.lora_dir.empty()) return UsageError("--lora: needs --lora-dir");
  absl::StatusOr<engine::Picture> picture = ReadPicture(positional[0]);
  if (!picture.ok()) return Fail(picture.status());
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) return UsageError("--out: " + out + ": " + error.message());
  absl::StatusOr<std::unique_ptr<engine::Engine>> engine = engine::Engine::Load(options);
  if (!engine.ok()) {
    Fail(engine.status());
    return kFailed;
  }
  for (const std::string& warning : (*engine)->info().warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  if (absl::Status status = MakeVideo(**engine, *spec, *picture, out); !status.ok()) return Fail(status);
  return kOk;
}

}  // namespace svi::worker
