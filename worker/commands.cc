#include "worker/commands.h"

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace svi::worker {
namespace {

constexpr char kOverview[] =
    "Subcommands (each has its own --help):\n"
    "  svi-worker [flags]             take clips from a server\n"
    "  svi-worker generate PICTURE    make a video offline\n"
    "  svi-worker train               train a LoRA or a model offline\n"
    "  svi-worker init-model          write a randomly initialised checkpoint\n"
    "  svi-worker run-component       run one part of a model on given tensors\n"
    "  svi-worker bench               time the parts of a model\n"
    "  svi-worker eval-drift          measure how far long videos drift\n\n";

}  // namespace

const char* Version() { return SVI_VERSION; }

int UsageError(const std::string& message) {
  std::fprintf(stderr, "svi-worker: %s\n", message.c_str());
  return kUsage;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "svi-worker: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kUsage : kFailed;
}

bool ParseFlags(FlagParser& parser, const std::vector<std::string>& args,
                std::vector<std::string>* positional, int* exit_code) {
  bool version = false;
  bool help_markdown = false;
  parser.AddAction("version", &version, "print the version and exit");
  parser.AddAction("help-markdown", &help_markdown, "print this list as Markdown and exit");
  absl::StatusOr<std::vector<std::string>> rest = parser.Parse(args);
  if (!rest.ok()) {
    *exit_code = UsageError(std::string(rest.status().message()));
    return false;
  }
  *exit_code = kOk;
  if (parser.help_requested() || help_markdown) {
    std::fputs((help_markdown ? parser.HelpMarkdown() : parser.Help()).c_str(), stdout);
    return false;
  }
  if (version) {
    std::printf("svi-worker %s\n", Version());
    return false;
  }
  *positional = *std::move(rest);
  return true;
}

int RunCommand(const std::vector<std::string>& args) {
  if (args.empty() || args[0].substr(0, 1) == "-") {
    if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) std::fputs(kOverview, stdout);
    return Serve(args);
  }
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (args[0] == "generate") return Generate(rest);
  if (args[0] == "init-model") return InitModel(rest);
  if (args[0] == "run-component") return RunComponent(rest);
  if (args[0] == "bench") return Bench(rest);
  if (args[0] == "eval-drift") return EvalDrift(rest);
  if (args[0] == "train") return Train(rest);
  return UsageError(absl::StrCat("unknown subcommand \"", args[0],
                                 "\"; there are generate, train, init-model, run-component, bench and "
                                 "eval-drift"));
}

}  // namespace svi::worker
