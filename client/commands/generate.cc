// svi generate, svi watch, svi append: what carries prompts, or follows a video.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/video_flags.h"

namespace svi::client {
namespace {

constexpr uint64_t kMaxPictureBytes = 32 << 20;  // as VideoSpec.image

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
  session.out().Created(*video);
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
