// A video offline: the same requests, engine and encoder as under a server.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/video_flags.h"
#include "engine/engine.h"
#include "worker/agent/clip_maker.h"
#include "worker/agent/clip_request.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"
#include "worker/files.h"
#include "worker/video_spec.h"

namespace svi::worker {
namespace {

// The spec with the number of its clips filled in.
absl::StatusOr<v1::VideoSpec> ToSpec(const VideoFlags& flags) {
  absl::StatusOr<v1::VideoSpec> spec = flags.ToSpec();
  if (!spec.ok()) return spec;
  if (absl::Status status = CheckVideoSpec(*spec); !status.ok()) return status;
  if (!spec->has_clips_per_prompt()) spec->set_clips_per_prompt(1);
  const uint64_t all = static_cast<uint64_t>(spec->prompts_size()) * spec->clips_per_prompt();
  if (!spec->has_num_clips()) spec->set_num_clips(static_cast<uint32_t>(all));
  if (spec->num_clips() > all && spec->variant() != v1::VARIANT_SHOT) {
    return absl::InvalidArgumentError(
        absl::StrCat("--num-clips: must be at most ", all, ", since the prompts make no more"));
  }
  return spec;
}

void PrintDrift(uint32_t clip, const v1::ClipDrift& drift) {
  std::fprintf(
      stderr,
      "clip %u: brightness %+.3f, contrast %+.3f, saturation %+.3f, sharpness %+.0f %%, motion %+.0f %%",
      clip, drift.brightness(), drift.contrast(), drift.saturation(), 100 * drift.sharpness(),
      100 * drift.motion());
  if (drift.has_static_psnr()) std::fprintf(stderr, ", still regions %.1f dB", drift.static_psnr());
  std::fprintf(stderr, "\n");
}

absl::Status MakeVideo(engine::Engine& engine, const v1::VideoSpec& spec, const engine::Picture& picture,
                       const std::filesystem::path& out) {
  std::string carry;
  std::optional<v1::ClipMeasures> first;
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
    absl::StatusOr<MadeClip> clip = MakeClip(engine, *plan, picture, carry, first ? &*first : nullptr, hooks);
    if (!clip.ok()) return clip.status();
    const std::filesystem::path path = out / absl::StrFormat("clip-%05d.mp4", i);
    if (absl::Status status = WriteWholeFile(path, clip->mp4); !status.ok()) return status;
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    if (clip->drift) PrintDrift(i, *clip->drift);
    if (!first) first = clip->measures;
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
