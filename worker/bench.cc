// How fast the parts of a model are on this machine: a table for people, JSON for everything else.
#include "engine/bench.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"

namespace svi::worker {
namespace {

constexpr char kUsageText[] =
    "svi-worker bench --model=DIR [flags]\n\n"
    "Times the parts of a model: dit, vae-encode, vae-decode, text-encoder, train and clip, each with "
    "what it computes (GFLOP), how fast, which share of a large float32 matrix product on the same device "
    "that is, and the "
    "highest memory while it ran. DIR may be a single component's folder if only its parts are asked for. "
    "--json prints JSON instead of the table, --json=FILE writes it beside the table.";

// FlagParser's flags have a value or are booleans; --json is both: a bare one stands for standard output.
constexpr char kStandardOutput[] = "-";

std::vector<std::string> WithJsonValue(std::vector<std::string> args) {
  for (std::string& arg : args) {
    if (arg == "--json") arg = std::string("--json=") + kStandardOutput;
  }
  return args;
}

nlohmann::ordered_json ToJson(const engine::BenchReport& report, const engine::BenchOptions& options) {
  nlohmann::ordered_json json = {{"version", Version()},
                                 {"device", report.device},
                                 {"threads", report.threads},
                                 {"model", report.model},
                                 {"width", options.width},
                                 {"height", options.height},
                                 {"num_frames", options.num_frames},
                                 {"num_inference_steps", options.num_inference_steps},
                                 {"lora_rank", options.lora_rank},
                                 {"repeats", options.repeats},
                                 {"load_seconds", report.load_seconds},
                                 {"gemm_gflops", report.gemm_gflops},
                                 {"parts", nlohmann::ordered_json::array()}};
  for (const engine::BenchPart& part : report.parts) {
    json["parts"].push_back({{"name", part.name},
                             {"shape", part.shape},
                             {"seconds", part.seconds},
                             {"min_seconds", part.min_seconds},
                             {"max_seconds", part.max_seconds},
                             {"gflop", part.gflop},
                             {"gflops", part.gflops},
                             {"share_of_gemm", part.share_of_gemm},
                             {"peak_bytes", part.peak_bytes}});
  }
  return json;
}

void PrintTable(const engine::BenchReport& report) {
  std::printf("%s on %s, %d threads; loaded in %.2f s; large float32 matrix product: %.1f GFLOP/s\n\n",
              report.model.c_str(), report.device.c_str(), report.threads, report.load_seconds,
              report.gemm_gflops);
  std::printf("%-24s %10s %21s %12s %9s %8s %9s  %s\n", "part", "seconds", "min..max", "GFLOP", "GFLOP/s",
              "of GEMM", "peak MiB", "of what");
  for (const engine::BenchPart& part : report.parts) {
    const std::string range = absl::StrFormat("%.4f..%.4f", part.min_seconds, part.max_seconds);
    std::printf("%-24s %10.4f %21s %12.3f %9.1f %7.0f%% %9.0f  %s\n", part.name.c_str(), part.seconds,
                range.c_str(), part.gflop, part.gflops, 100 * part.share_of_gemm,
                static_cast<double>(part.peak_bytes) / (1 << 20), part.shape.c_str());
  }
}

}  // namespace

int Bench(const std::vector<std::string>& args) {
  engine::BenchOptions options;
  std::string json_file;
  FlagParser parser(kUsageText);
  AddEngineFlags(parser, &options.engine);
  parser.AddInt("width", &options.width, "pixels, a multiple of 32");
  parser.AddInt("height", &options.height, "pixels, a multiple of 32");
  parser.AddInt("frames", &options.num_frames, "frames of a clip, 4k+1");
  parser.AddInt("steps", &options.num_inference_steps, "denoising steps of the clip");
  parser.AddInt("lora-rank", &options.lora_rank, "of the step of training");
  parser.AddInt("repeats", &options.repeats, "runs of each part, which take turns; the median counts");
  parser.AddRepeated(
      "part", &options.parts,
      "one of these, or of their lines in the table (dit-forward), any number of them; none: all but train");
  parser.AddString("json", &json_file, "write JSON to this file; without one, print it instead of the table");
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, WithJsonValue(args), &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("bench takes no argument \"" + positional[0] + "\"");
  if (options.engine.model_dir.empty()) return UsageError("--model is required");

  absl::StatusOr<engine::BenchReport> report =
      engine::RunBench(options, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
  if (!report.ok()) return Fail(report.status());
  const std::string json = ToJson(*report, options).dump(2) + "\n";
  if (json_file == kStandardOutput) {
    std::fputs(json.c_str(), stdout);
    return kOk;
  }
  PrintTable(*report);
  if (json_file.empty()) return kOk;
  std::ofstream out(json_file, std::ios::binary);
  if (!(out << json).flush())
    return Fail(absl::InternalError("--json: " + json_file + ": cannot be written"));
  return kOk;
}

}  // namespace svi::worker
