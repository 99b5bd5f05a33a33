#include "client/reporter.h"

#include <google/protobuf/util/json_util.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/errors.h"
#include "nlohmann/json.hpp"

namespace svi::client {
namespace {

int TerminalWidth() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  // The reader of a pipe wants each line as it happens.
  std::fflush(stdout);
}

}  // namespace

OutputMode ChooseOutputMode(bool json) {
  if (json) return OutputMode::kJson;
  const char* term = std::getenv("TERM");
  const bool redraws = ::isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  return redraws ? OutputMode::kBar : OutputMode::kPlain;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = false;
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out, options);
  return status.ok() ? out : nlohmann::json{{"error", {{"message", status.ToString()}}}}.dump();
}

std::string ShortSize(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  if (bytes < 1'000'000) return absl::StrFormat("%.1f kB", bytes / 1e3);
  if (bytes < 1'000'000'000) return absl::StrFormat("%.1f MB", bytes / 1e6);
  return absl::StrFormat("%.2f GB", bytes / 1e9);
}

void Reporter::EraseBar() {
  if (!bar_drawn_) return;
  Print("\r\x1b[K");
  bar_drawn_ = false;
}

void Reporter::DrawBar() {
  if (mode_ != OutputMode::kBar) return;
  Print(absl::StrCat("\r", RenderBar(progress_, TerminalWidth() - 1), "\x1b[K"));
  bar_drawn_ = true;
}

void Reporter::Line(const std::string& text) {
  if (json()) return;
  EraseBar();
  Print(text + "\n");
}

void Reporter::Note(const std::string& text) {
  EraseBar();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Reporter::Json(const google::protobuf::Message& message) { Print(ToJson(message) + "\n"); }

void Reporter::Created(const v1::Video& video) {
  progress_.SetTotal(video.clips_total());
  if (json()) {
    v1::GenerateVideoResponse line;
    *line.mutable_created() = video;
    return Json(line);
  }
  Line(absl::StrCat("created ", video.name()));
}

void Reporter::Watching(const v1::Video& video) { progress_.SetTotal(video.clips_total()); }

void Reporter::Event(const v1::VideoEvent& event) {
  if (json()) {
    v1::GenerateVideoResponse line;
    *line.mutable_event() = event;
    return Json(line);
  }
  progress_.Update(event);
  DescribeEvent(event);
  DrawBar();
}

void Reporter::DescribeEvent(const v1::VideoEvent& event) {
  switch (event.event_case()) {
    case v1::VideoEvent::kStateChanged:
      // The last state is reported with the video, and others show in the bar.
      if (mode_ == OutputMode::kPlain && event.state_changed().state() <= v1::VIDEO_STATE_WAITING) {
        Line(StateName(event.state_changed().state()));
      }
      break;
    case v1::VideoEvent::kClipStarted: {
      const v1::ClipStarted& started = event.clip_started();
      const std::string again = started.attempt() > 1 ? absl::StrCat(", attempt ", started.attempt()) : "";
      if (mode_ == OutputMode::kPlain) {
        Line(absl::StrCat("clip ", started.clip_index() + 1, "/", progress_.clips_total(), " started on ",
                          started.worker(), again));
      }
      break;
    }
    case v1::VideoEvent::kClipDone:
      Line(absl::StrFormat("clip %d/%d done: %d frames, %dx%d, %s", event.clip_done().index() + 1,
                           progress_.clips_total(), event.clip_done().frame_count(),
                           event.clip_done().width(), event.clip_done().height(),
                           ShortSize(event.clip_done().size_bytes())));
      break;
    case v1::VideoEvent::kClipAttemptFailed: {
      const v1::ClipAttemptFailed& failed = event.clip_attempt_failed();
      Line(absl::StrCat("clip ", failed.clip_index() + 1, ": attempt ", failed.attempt(), " of ",
                        failed.max_attempts(), " failed: ", failed.error().message(), " (",
                        failed.error().reason(), ")"));
      break;
    }
    case v1::VideoEvent::kPromptsChanged:
      Line(absl::StrCat("prompts changed: ", event.prompts_changed().clips_total(), " clips",
                        event.prompts_changed().finished() ? ", no more will come" : ""));
      break;
    case v1::VideoEvent::kProgress:
      if (mode_ == OutputMode::kPlain) PlainProgress(event.progress());
      break;
    case v1::VideoEvent::EVENT_NOT_SET:
      break;
  }
}

void Reporter::PlainProgress(const v1::Progress& progress) {
  // A line a stage, and one a tenth of it: a log wants no more.
  const uint32_t tenth = progress.total() == 0 ? 0 : progress.step() * 10 / progress.total();
  const std::string key = absl::StrCat(progress.clip_index(), "/", progress.stage(), "/", tenth);
  if (key == last_progress_) return;
  last_progress_ = key;
  const std::string eta = progress.has_eta()
                              ? absl::StrCat(", ETA ", ShortDuration(absl::Seconds(progress.eta().seconds())))
                              : "";
  Line(absl::StrCat("clip ", progress.clip_index() + 1, "/", progress_.clips_total(), " ",
                    StageName(progress.stage()), " ", progress.step(), "/", progress.total(), eta));
}

void Reporter::Saved(std::string_view name, const std::string& path, uint64_t bytes,
                     const std::string& sha256_hex) {
  if (json()) {
    const nlohmann::json saved = {
        {"name", std::string(name)}, {"path", path}, {"sizeBytes", bytes}, {"sha256", sha256_hex}};
    return Print(
        nlohmann::json{{"saved", saved}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
        "\n");
  }
  Line(absl::StrCat("saved ", path, " (", ShortSize(bytes), ")"));
  DrawBar();
}

void Reporter::AlreadyThere(std::string_view name, const std::string& path, const std::string& sha256_hex) {
  if (json()) {
    const nlohmann::json kept = {{"name", std::string(name)}, {"path", path}, {"sha256", sha256_hex}};
    return Print(nlohmann::json{{"alreadyThere", kept}}.dump(-1, ' ', false,
                                                             nlohmann::json::error_handler_t::replace) +
                 "\n");
  }
  Line(absl::StrCat("already there: ", path));
  DrawBar();
}

void Reporter::Ended(const v1::Video& video) {
  if (json()) {
    v1::GenerateVideoResponse line;
    *line.mutable_ended() = video;
    return Json(line);
  }
  std::string text = absl::StrCat(video.name(), " ", StateName(video.state()), ": ", video.clips_done(),
                                  " of ", video.clips_total(), " clips");
  if (video.state() == v1::VIDEO_STATE_FAILED) {
    absl::StrAppend(&text, "\n  ", video.error().message(), " (", video.error().reason(), ")");
  }
  Line(text);
}

void Reporter::Retrying(const absl::Status& error, absl::Duration wait) {
  Note(absl::StrFormat("svi: %s; trying again in %.1f s", Describe(error), absl::ToDoubleSeconds(wait)));
  if (progress_.clips_total() != 0) DrawBar();
}

void Reporter::Error(const absl::Status& status) {
  Note(json() ? DescribeAsJson(status) : absl::StrCat("svi: ", Describe(status)));
}

}  // namespace svi::client
