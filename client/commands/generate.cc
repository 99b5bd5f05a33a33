// svi generate, svi watch, svi append: what carries prompts, or follows a video.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/command.h"
#include "client/video_flags.h"
#include "client/video_reporter.h"

namespace svi::client {
namespace {

constexpr uint64_t kMaxPictureBytes = 32 << 20;  // as VideoSpec.image

// Into `dir` as clip-00000.mp4, unless it is there already.
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

// Saves each clip into `dir` unless that is empty. Returns the exit code.
int WatchToTheEnd(Session& session, const v1::Video& video, uint64_t after_sequence, const std::string& dir) {
  VideoReporter report(session.out());
  return FollowToTheEnd(
      session, session.client(), report, video, after_sequence,
      {absl::StrCat("watch ", video.name(), " --out=DIR"), absl::StrCat("cancel ", video.name())},
      [&](const v1::VideoEvent& event) {
        if (!event.has_clip_done() || dir.empty()) return absl::OkStatus();
        return SaveClip(session, event.clip_done(), dir);
      });
}

}  // namespace

int RunGenerate(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  VideoFlags video_flags;
  std::string request_id;
  std::string out = ".";
  int priority = 0;
  bool open_ended = false;
  bool detach = false;
  video_flags.AddTo(session.flags());
  session.flags().Group("The request");
  session.flags().AddBool("open-ended", &open_ended, "Stay open for `svi append` until `svi finish`");
  session.flags().AddInt("priority", &priority, "-100..100; higher goes first at the next clip boundary");
  session.flags().AddString("request-id", &request_id,
                            "Asking again with the same id returns the same video; default: a UUID");
  session.flags().AddString("out", &out, "Folder for clip-00000.mp4 and on; made if need be");
  session.flags().AddBool("detach", &detach, "Queue the video, print its name and return");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;

  v1::CreateVideoRequest request;
  absl::StatusOr<v1::VideoSpec> spec = video_flags.ToSpec();
  if (!spec.ok()) return session.Fail(spec.status());
  absl::StatusOr<std::string> picture = ReadUserFile(session.positional()[0], kMaxPictureBytes);
  if (!picture.ok()) return session.Fail(picture.status());
  *request.mutable_spec() = *std::move(spec);
  request.mutable_spec()->set_image(*std::move(picture));
  request.mutable_spec()->set_open_ended(open_ended);
  request.mutable_spec()->set_priority(priority);
  request.set_request_id(request_id);

  absl::StatusOr<v1::Video> video = session.client().CreateVideo(std::move(request));
  if (!video.ok()) return session.Fail(video.status());
  VideoReporter(session.out()).Created(*video);
  if (detach) return kExitOk;
  return WatchToTheEnd(session, *video, 0, out);
}

int RunWatch(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::string out;
  uint64_t after = 0;
  session.flags().AddString("out", &out, "Folder for the clips; without it, none are fetched");
  session.flags().AddUint("after", &after, "Leave out events up to this sequence number, and their clips");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::Video> video = session.client().GetVideo(session.positional()[0]);
  if (!video.ok()) return session.Fail(video.status());
  return WatchToTheEnd(session, *video, after, out);
}

int RunAppend(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::vector<std::string> prompts;
  std::string prompts_file;
  std::optional<uint64_t> revision;
  AddPromptFlags(session.flags(), &prompts, &prompts_file);
  session.flags().AddUint("revision", &revision,
                          "Refuse if the video's prompts have changed since this revision");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<std::vector<std::string>> all = GatherPrompts(prompts, prompts_file);
  if (!all.ok()) return session.Fail(all.status());
  v1::AppendPromptsRequest request;
  request.set_name(session.positional()[0]);
  for (const std::string& prompt : *all) request.add_prompts(prompt);
  if (revision) request.set_expected_revision(*revision);
  absl::StatusOr<v1::Video> video = session.client().AppendPrompts(std::move(request));
  if (!video.ok()) return session.Fail(video.status());
  if (session.out().json()) session.out().Json(*video);
  session.out().Line(
      absl::StrCat(video->name(), ": ", video->clips_total(), " clips, revision ", video->revision()));
  return kExitOk;
}

}  // namespace svi::client
