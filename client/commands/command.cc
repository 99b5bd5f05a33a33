#include "client/commands/command.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

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
  };
  return *kCommands;
}

void GlobalFlags::AddTo(FlagParser& parser) {
  parser.Group("Flags of every command");
  parser.AddString("server", &server,
                   "HOST:PORT of svi-server; the environment's SVI_SERVER changes the default");
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
  positional_ = *std::move(positional);
  ClientOptions options;
  options.server = globals_.server;
  options.retry_for = globals_.retry_for;
  options.on_retry = [this](const absl::Status& error, absl::Duration wait) {
    reporter_->Retrying(error, wait);
  };
  client_ = std::make_unique<SviClient>(std::move(options), interrupt_);
  return std::nullopt;
}

int Session::Fail(const absl::Status& status) {
  if (interrupt_->triggered()) return kExitInterrupted;
  reporter_->Error(status);
  return ExitCodeFor(status);
}

int Session::FailWatching(const absl::Status& status, const std::string& video) {
  const int code = Fail(status);
  if (code == kExitInterrupted || code == kExitUnavailable) {
    out().Note(absl::StrCat("svi: stopped watching; ", video, " goes on.\n  svi --server=", globals_.server,
                            " watch ", video, " --out=DIR   to watch it and fetch its clips\n  svi --server=",
                            globals_.server, " cancel ", video, "             to stop it"));
  }
  return code;
}

absl::Status SaveClip(Session& session, const v1::Clip& clip, const std::string& dir) {
  const std::string path =
      (std::filesystem::path(dir) / absl::StrFormat("clip-%05d.mp4", clip.index())).string();
  const std::string hex = Hex(clip.sha256());
  if (FileMatches(path, clip.size_bytes(), clip.sha256())) {
    session.out().AlreadyThere(clip.name(), path, hex);
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<FileDownload>> file = FileDownload::Open(path, clip.sha256());
  if (!file.ok()) return file.status();
  absl::Status status = session.client().DownloadClip(clip.name(), **file);
  if (status.ok()) session.out().Saved(clip.name(), path, clip.size_bytes(), hex);
  return status;
}

int WatchToTheEnd(Session& session, const v1::Video& video, uint64_t after_sequence, const std::string& dir) {
  session.out().Watching(video);
  absl::StatusOr<v1::Video> ended =
      session.client().Watch(video.name(), after_sequence, [&](const v1::VideoEvent& event) {
        session.out().Event(event);
        if (!event.has_clip_done() || dir.empty()) return absl::OkStatus();
        return SaveClip(session, event.clip_done(), dir);
      });
  if (!ended.ok()) return session.FailWatching(ended.status(), video.name());
  session.out().Ended(*ended);
  return ExitCodeFor(*ended);
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
