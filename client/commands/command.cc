#include "client/commands/command.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace svi::client {

const std::vector<Command>& Commands() {
  static const auto* const kCommands = new std::vector<Command>{
      {"generate", "PICTURE --prompt=TEXT … [--out=DIR]", "Make a video and save its clips as they land",
       RunGenerate},
      {"watch", "NAME [--out=DIR]", "Follow a video to its end", RunWatch},
      {"get", "NAME", "Show a video and its clips", RunGet},
      {"list", "[--state=STATE …] [--all]", "List videos, newest first", RunList},
      {"append", "NAME --prompt=TEXT …", "Add prompts to an open-ended video", RunAppend},
      {"finish", "NAME", "Say that no more prompts will come", RunFinish},
      {"cancel", "NAME", "Stop a video at its next denoising step", RunCancel},
      {"delete", "NAME [--force]", "Remove a video and its clips", RunDelete},
      {"download", "NAME [--clip=N] --out=FILE|DIR", "Fetch one clip, or all of them as one file",
       RunDownload},
      {"workers", "", "List the workers that are connected", RunWorkers},
      {"train create", "DATASET --max-steps=N …", "Train a LoRA, and watch it", RunTrainCreate},
      {"train watch", "NAME", "Follow a training run to its end", RunTrainWatch},
      {"train get", "NAME", "Show a training run", RunTrainGet},
      {"train list", "[--state=STATE …] [--all]", "List training runs, newest first", RunTrainList},
      {"train cancel", "NAME", "Stop a training run after its step", RunTrainCancel},
      {"lora list", "[--all]", "List published LoRAs", RunLoraList},
      {"lora get", "NAME", "Show a published LoRA", RunLoraGet},
      {"lora download", "NAME --out=FILE|DIR", "Fetch the file of a published LoRA", RunLoraDownload},
      {"lora delete", "NAME", "Remove a published LoRA; videos that still need it fail", RunLoraDelete},
  };
  return *kCommands;
}

absl::StatusOr<const Command*> TakeCommand(Args* args) {
  const std::string first = args->front();
  std::vector<std::string> seconds;  // of the commands of two words
  for (const Command& command : Commands()) {
    const Args words = absl::StrSplit(command.name, ' ');
    if (words.size() > 1 && words[0] == first) seconds.push_back(words[1]);
    if (words.size() > args->size() || !std::equal(words.begin(), words.end(), args->begin())) continue;
    args->erase(args->begin(), args->begin() + static_cast<std::ptrdiff_t>(words.size()));
    return &command;
  }
  if (seconds.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown command '", first, "' (see svi --help)"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("want one of: svi ", first, " ", absl::StrJoin(seconds, "|"), " (see svi --help)"));
}

void GlobalFlags::AddTo(FlagParser& parser) {
  parser.Group("Flags of every command");
  AddEndpointFlags(&parser, &endpoint);
  parser.AddBool("json", &json, "Print one JSON object a line");
  parser.AddDuration("retry-for", &retry_for,
                     "Keep trying this long after the last sign of life from the server");
}

Session::Session(const Command& self, GlobalFlags globals, Interrupt* interrupt)
    : globals_(std::move(globals)),
      interrupt_(interrupt),
      parser_(absl::StrCat("svi ", self.name, *self.synopsis ? " " : "", self.synopsis, "\n\n", self.help,
                           ".")) {}

std::optional<int> Session::Start(const Args& args, size_t min, size_t max) {
  globals_.AddTo(parser_);
  absl::StatusOr<Args> positional = parser_.Parse(args);
  if (parser_.help_requested()) {
    std::cout << parser_.Help();
    return kExitOk;
  }
  reporter_ = std::make_unique<Reporter>(ChooseOutputMode(globals_.json));
  if (!positional.ok()) return Fail(positional.status());
  if (positional->size() < min)
    return Fail(absl::InvalidArgumentError("an argument is missing (see --help)"));
  if (positional->size() > max) {
    return Fail(absl::InvalidArgumentError(absl::StrCat("unexpected argument '", (*positional)[max], "'")));
  }
  if (globals_.retry_for < absl::ZeroDuration()) {
    return Fail(absl::InvalidArgumentError("--retry-for: want 0s or more"));
  }
  if (auto status = CheckEndpoint(globals_.endpoint); !status.ok()) return Fail(status);
  positional_ = *std::move(positional);
  ClientOptions options;
  options.endpoint = globals_.endpoint;
  options.retry_for = globals_.retry_for;
  options.on_retry = [this](const absl::Status& error, absl::Duration wait) {
    reporter_->Retrying(error, wait);
  };
  client_ = std::make_unique<SviClient>(options, interrupt_);
  training_ = std::make_unique<TrainingClient>(std::move(options), interrupt_);
  return std::nullopt;
}

int Session::Fail(const absl::Status& status) {
  if (interrupt_->triggered()) return kExitInterrupted;
  reporter_->Error(status);
  return ExitCodeFor(status);
}

int Session::FailWatching(const absl::Status& status, const std::string& name, const FollowUp& follow_up) {
  const int code = Fail(status);
  if (code == kExitInterrupted || code == kExitUnavailable) {
    const std::string svi = absl::StrCat("\n  svi --server=", globals_.endpoint.server, " ");
    out().Note(absl::StrCat("svi: stopped watching; ", name, " goes on.", svi, follow_up.watch,
                            "   to go on watching", svi, follow_up.cancel, "   to stop it"));
  }
  return code;
}

void PageFlags::AddTo(FlagParser& parser, const std::string& what) {
  parser.AddInt("page-size", &page_size, absl::StrCat(what, " a page, 1..1000"));
  parser.AddString("page-token", &page_token, "Go on where a page ended");
  parser.AddBool("all", &all, "All pages");
}

std::string ShortTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(time.seconds()), absl::LocalTimeZone());
}

absl::StatusOr<std::string> ReadUserFile(const std::string& path, uint64_t limit) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder, not a file"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  std::string bytes;
  char buffer[1 << 16];
  while (in.read(buffer, sizeof(buffer)) || in.gcount() > 0) {
    bytes.append(buffer, static_cast<size_t>(in.gcount()));
    if (bytes.size() > limit) {
      return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", limit, " bytes"));
    }
  }
  return bytes;
}

}  // namespace svi::client
