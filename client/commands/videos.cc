// svi get, list, finish, cancel, delete, workers: one call, one answer.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/command.h"
#include "client/progress_bar.h"

namespace svi::client {
namespace {

// The first line of a prompt, cut to fit; never inside a UTF-8 character.
std::string Shorten(const std::string& text, size_t limit) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() <= limit) return line;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(line.substr(0, end), "…");
}

void PrintRow(Reporter& out, const v1::Video& video) {
  const std::string clips = absl::StrCat(video.clips_done(), "/", video.clips_total());
  const std::string prompt = video.spec().prompts().empty() ? "" : Shorten(video.spec().prompts(0), 40);
  out.Line(absl::StrFormat("%-43s %-10s %9s  %s  %s", video.name(), StateName(video.state()), clips,
                           ShortTime(video.create_time()), prompt));
}

void PrintVideo(Reporter& out, const v1::Video& video) {
  if (out.json()) return out.Json(video);
  out.Line(absl::StrCat(
      video.name(), "\n  state     ", StateName(video.state()), "\n  clips     ", video.clips_done(), " of ",
      video.clips_total(), video.spec().open_ended() && !video.finished() ? ", open-ended" : "",
      "\n  created   ", ShortTime(video.create_time()), "\n  revision  ", video.revision()));
  if (video.has_estimated_start_time()) {
    out.Line(
        absl::StrCat("  next clip ", ShortTime(video.estimated_start_time()), ", as far as can be told"));
  }
  if (video.has_estimated_finish_time()) {
    out.Line(
        absl::StrCat("  finished  ", ShortTime(video.estimated_finish_time()), ", as far as can be told"));
  }
  if (video.has_end_time()) out.Line(absl::StrCat("  ended     ", ShortTime(video.end_time())));
  if (video.has_error()) {
    out.Line(absl::StrCat("  error     ", video.error().message(), " (", video.error().reason(), ")"));
  }
  for (const v1::Clip& clip : video.clips()) {
    out.Line(absl::StrFormat("  clip %-4d %d frames, %dx%d, %s  %s", clip.index(), clip.frame_count(),
                             clip.width(), clip.height(), ShortSize(clip.size_bytes()),
                             Shorten(clip.prompt(), 40)));
  }
}

// The commands that name a video and get it back.
int OneVideo(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt,
             absl::StatusOr<v1::Video> (SviClient::*call)(std::string_view)) {
  Session session(self, std::move(globals), interrupt);
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::Video> video = (session.client().*call)(session.positional()[0]);
  if (!video.ok()) return session.Fail(video.status());
  PrintVideo(session.out(), *video);
  return kExitOk;
}

}  // namespace

int RunGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  return OneVideo(self, std::move(globals), args, interrupt, &SviClient::GetVideo);
}

int RunFinish(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  return OneVideo(self, std::move(globals), args, interrupt, &SviClient::FinishVideo);
}

int RunCancel(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  return OneVideo(self, std::move(globals), args, interrupt, &SviClient::CancelVideo);
}

int RunDelete(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  bool force = false;
  session.flags().AddBool("force", &force, "Cancel it first if it is active");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  const absl::Status status = session.client().DeleteVideo(session.positional()[0], force);
  if (!status.ok()) return session.Fail(status);
  session.out().Line(absl::StrCat("deleted ", VideoName(session.positional()[0])));
  return kExitOk;
}

int RunList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::vector<std::string> states;
  PageFlags pages;
  session.flags().AddRepeated("state", &states,
                              "Only these: queued, running, waiting, succeeded, failed, cancelled");
  pages.AddTo(session.flags(), "Videos");
  if (std::optional<int> code = session.Start(args, 0, 0)) return *code;
  v1::ListVideosRequest request;
  for (const std::string& text : states) {
    v1::VideoState state{};
    if (!v1::VideoState_Parse(absl::StrCat("VIDEO_STATE_", absl::AsciiStrToUpper(text)), &state)) {
      return session.Fail(absl::InvalidArgumentError(
          absl::StrCat("--state=", text, ": want queued, running, waiting, succeeded, failed or cancelled")));
    }
    request.add_states(state);
  }
  return PrintPages(
      session, pages, request,
      [&](const v1::ListVideosRequest& page) { return session.client().ListVideos(page); },
      [&](const v1::ListVideosResponse& response) {
        for (const v1::Video& video : response.videos()) {
          if (session.out().json()) session.out().Json(video);
          PrintRow(session.out(), video);
        }
      });
}

int RunWorkers(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  if (std::optional<int> code = session.Start(args, 0, 0)) return *code;
  absl::StatusOr<v1::ListWorkersResponse> response = session.client().ListWorkers();
  if (!response.ok()) return session.Fail(response.status());
  for (const v1::Worker& worker : response->workers()) {
    if (session.out().json()) session.out().Json(worker);
    const std::string state =
        absl::AsciiStrToLower(v1::WorkerState_Name(worker.state()).substr(sizeof("WORKER_STATE_") - 1));
    const std::string loras =
        worker.loras().empty() ? "" : absl::StrFormat(", %d LoRAs", worker.loras_size());
    session.out().Line(absl::StrFormat("%-43s %-9s %s, %s%s, %d clips  %s", worker.name(), state,
                                       worker.device(), worker.model(), loras, worker.clips_done(),
                                       worker.clip()));
  }
  if (response->workers().empty()) session.out().Line("no workers are connected");
  return kExitOk;
}

}  // namespace svi::client
