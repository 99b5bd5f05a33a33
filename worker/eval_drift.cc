// How far videos drift: chains of clips from many pictures, measured, and reports of them side by side.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/video_flags.h"
#include "engine/engine.h"
#include "worker/agent/clip_request.h"
#include "worker/commands.h"
#include "worker/drift/plot.h"
#include "worker/drift/report.h"
#include "worker/drift/table.h"
#include "worker/drift_chain.h"
#include "worker/drift_scenes.h"
#include "worker/engine_flags.h"
#include "worker/files.h"
#include "worker/video_spec.h"

namespace svi::worker {
namespace {

constexpr int kMaxClips = 100000;  // as VideoSpec.num_clips
constexpr int kMeasuredByDefault[] = {1, 5, 10, 20, 60};

struct Flags {
  engine::EngineOptions engine;
  VideoFlags video;
  std::string scenes, measure_at, out, plot, table, save_frames, label;
  std::optional<uint32_t> clips;
  int64_t max_scenes = 0;
  bool compare = false;
};

void AddFlags(FlagParser& parser, Flags* flags) {
  AddEngineFlags(parser, &flags->engine);
  parser.Group("What is measured");
  parser.AddString(
      "scenes", &flags->scenes,
      "JSON lines: picture (relative to this file), prompt, and if wanted seed and direction (left, "
      "right, up, down or still); required");
  parser.AddInt("max-scenes", &flags->max_scenes, "take only so many, from the start; 0: all");
  parser.AddUint("clips", &flags->clips, "clips of each video; default: up to the last that is measured");
  parser.AddString("measure-at", &flags->measure_at,
                   "clips to measure, the first is 1 and always measured; default: 1,5,10,20,60");
  flags->video.AddSamplingTo(parser);
  parser.Group("What comes out");
  parser.AddString("out", &flags->out, "the report, JSON; required unless --compare");
  parser.AddString("label", &flags->label,
                   "what tables and plots call it; default: --out's name without .json");
  parser.AddString("plot", &flags->plot, "plot of the report, or of all that are compared: SVG");
  parser.AddString("table", &flags->table, "tables of the same: Markdown");
  parser.AddString("save-frames", &flags->save_frames,
                   "folder for the first and the last frame of the measured clips, PNG; made if need be");
  parser.AddBool("compare", &flags->compare, "make no clips: put the given REPORTs side by side");
}

absl::StatusOr<int> ClipsToMake(const Flags& flags) {
  if (!flags.clips) return kMaxClips;
  if (*flags.clips < 1 || *flags.clips > kMaxClips) {
    return absl::InvalidArgumentError(absl::StrCat("--clips: must be 1..", kMaxClips));
  }
  return static_cast<int>(*flags.clips);
}

// Ascending, each once, clip 1 among them.
absl::StatusOr<std::vector<int>> MeasuredClips(const Flags& flags, int clips) {
  std::vector<int> measured = {1};
  if (flags.measure_at.empty()) {
    for (const int clip : kMeasuredByDefault) {
      if (clip <= clips) measured.push_back(clip);
    }
  }
  for (const absl::string_view text : absl::StrSplit(flags.measure_at, ',', absl::SkipEmpty())) {
    int clip = 0;
    if (!absl::SimpleAtoi(text, &clip) || clip < 1 || clip > clips) {
      return absl::InvalidArgumentError(absl::StrCat("--measure-at=", text, ": want numbers of clips in 1..",
                                                     clips, ", with commas between"));
    }
    measured.push_back(clip);
  }
  std::sort(measured.begin(), measured.end());
  measured.erase(std::unique(measured.begin(), measured.end()), measured.end());
  return measured;
}

// What the model makes of the flags, for the report's reader.
absl::StatusOr<nlohmann::ordered_json> DescribeSettings(const v1::VideoSpec& spec,
                                                        const engine::EngineInfo& info) {
  constexpr int kAnySide = 64;  // a size that is not asked for follows from each picture
  const engine::Picture any{.width = kAnySide, .height = kAnySide, .rgb = {}};
  const absl::StatusOr<ClipPlan> plan = PlanClip(spec, 0, "", 0, info.defaults, any);
  if (!plan.ok()) return plan.status();
  const engine::ClipRequest& request = plan->request;
  nlohmann::ordered_json loras = nlohmann::ordered_json::array();
  for (const engine::LoraRef& lora : request.loras) {
    loras.push_back({{"name", lora.name}, {"strength", lora.strength}});
  }
  constexpr const char* kVariants[] = {"pro", "film", "shot"};
  constexpr const char* kSamplers[] = {"unipc", "euler"};
  nlohmann::ordered_json settings = {{"model", info.model_label},
                                     {"loras", loras},
                                     {"variant", kVariants[static_cast<int>(request.variant)]},
                                     {"sampler", kSamplers[static_cast<int>(request.sampler)]},
                                     {"num_frames", request.num_frames},
                                     {"num_inference_steps", request.num_inference_steps},
                                     {"guidance_scale", request.guidance_scale},
                                     {"flow_shift", request.flow_shift}};
  if (spec.has_width()) settings["size"] = absl::StrCat(request.width, "x", request.height);
  return settings;
}

absl::Status WriteComparison(const Flags& flags, const std::vector<drift::DriftReport>& reports) {
  if (!flags.table.empty()) {
    absl::Status written = WriteWholeFile(flags.table, drift::MarkdownTables(reports));
    if (!written.ok()) return written;
  }
  if (flags.plot.empty()) return absl::OkStatus();
  return WriteWholeFile(flags.plot, drift::SvgPlot(reports));
}

absl::Status Compare(const Flags& flags, const std::vector<std::string>& paths) {
  std::vector<drift::DriftReport> reports;
  for (const std::string& path : paths) {
    const absl::StatusOr<std::string> text = ReadWholeFile(path);
    if (!text.ok()) return text.status();
    absl::StatusOr<drift::DriftReport> report = drift::ParseReport(*text);
    if (!report.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", report.status().message()));
    }
    reports.push_back(*std::move(report));
  }
  if (flags.table.empty() && flags.plot.empty()) {
    std::fputs(drift::MarkdownTables(reports).c_str(), stdout);
    return absl::OkStatus();
  }
  return WriteComparison(flags, reports);
}

absl::Status CheckFlags(const Flags& flags, const v1::VideoSpec& spec) {
  if (flags.engine.model_dir.empty()) return absl::InvalidArgumentError("--model is required");
  if (flags.scenes.empty()) return absl::InvalidArgumentError("--scenes is required");
  if (flags.out.empty()) return absl::InvalidArgumentError("--out is required");
  if (flags.max_scenes < 0) return absl::InvalidArgumentError("--max-scenes: must not be negative");
  if (!spec.lora().empty() && flags.engine.lora_dir.empty()) {
    return absl::InvalidArgumentError("--lora: needs --lora-dir");
  }
  return CheckVideoSpec(spec);
}

// The report is written after every scene, so that a long run that is broken off leaves what it has.
absl::Status MeasureAll(const Flags& flags, const v1::VideoSpec& spec, const std::vector<DriftScene>& scenes,
                        const std::vector<int>& measured, int clips, engine::Engine& engine) {
  drift::DriftReport report;
  report.label = flags.label.empty() ? std::filesystem::path(flags.out).stem().string() : flags.label;
  report.measured = measured;
  absl::StatusOr<nlohmann::ordered_json> settings = DescribeSettings(spec, engine.info());
  if (!settings.ok()) return settings.status();
  report.settings = *std::move(settings);
  const absl::Time start = absl::Now();
  for (size_t i = 0; i < scenes.size(); ++i) {
    DriftChainOptions options;
    options.clips = clips;
    options.measured = measured;
    options.frames_dir = flags.save_frames;
    options.made = [&](int clip) {
      std::fprintf(stderr, "scene %zu of %zu: clip %d of %d, %.1f s\n", i + 1, scenes.size(), clip, clips,
                   absl::ToDoubleSeconds(absl::Now() - start));
    };
    absl::StatusOr<drift::MeasuredScene> scene =
        MeasureScene(engine, spec, scenes[i], static_cast<int>(i), options);
    if (!scene.ok()) return scene.status();
    if (!scene->error.empty()) {
      std::fprintf(stderr, "warning: scene %zu broke off at %s\n", i + 1, scene->error.c_str());
    }
    report.scenes.push_back(*std::move(scene));
    if (absl::Status written = WriteWholeFile(flags.out, drift::ToJson(report)); !written.ok())
      return written;
  }
  return WriteComparison(flags, {report});
}

absl::Status Evaluate(const Flags& flags) {
  const absl::StatusOr<v1::VideoSpec> spec = flags.video.SamplingSpec();
  if (!spec.ok()) return spec.status();
  if (absl::Status valid = CheckFlags(flags, *spec); !valid.ok()) return valid;
  const absl::StatusOr<int> clips = ClipsToMake(flags);
  if (!clips.ok()) return clips.status();
  const absl::StatusOr<std::vector<int>> measured = MeasuredClips(flags, *clips);
  if (!measured.ok()) return measured.status();
  const absl::StatusOr<std::vector<DriftScene>> scenes = ReadDriftScenes(flags.scenes, flags.max_scenes);
  if (!scenes.ok()) return scenes.status();
  if (!flags.save_frames.empty()) {
    std::error_code error;
    std::filesystem::create_directories(flags.save_frames, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("--save-frames: ", flags.save_frames, ": ", error.message()));
    }
  }
  const absl::StatusOr<std::unique_ptr<engine::Engine>> engine = engine::Engine::Load(flags.engine);
  // A model that cannot be used is a failure, as in the other commands, not a wrong flag.
  if (!engine.ok()) return absl::FailedPreconditionError(engine.status().message());
  for (const std::string& warning : (*engine)->info().warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  // Nobody looks at what comes after the last measured clip, unless it is asked for.
  return MeasureAll(flags, *spec, *scenes, *measured, flags.clips ? *clips : measured->back(), **engine);
}

}  // namespace

int EvalDrift(const std::vector<std::string>& args) {
  Flags flags;
  FlagParser parser(
      "svi-worker eval-drift --model=DIR --scenes=FILE.jsonl --out=REPORT.json [flags]\n"
      "svi-worker eval-drift --compare REPORT.json... [--table=FILE.md] [--plot=FILE.svg]\n\nMakes long "
      "videos "
      "from many pictures and measures how far their clips drift, or puts such reports side by side.");
  AddFlags(parser, &flags);
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (flags.compare && positional.empty()) return UsageError("eval-drift --compare takes REPORTs");
  if (!flags.compare && !positional.empty()) return UsageError("eval-drift takes no " + positional[0]);
  const absl::Status status = flags.compare ? Compare(flags, positional) : Evaluate(flags);
  return status.ok() ? kOk : Fail(status);
}

}  // namespace svi::worker
