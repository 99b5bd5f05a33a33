// svi download.
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/commands/command.h"

namespace svi::client {
namespace {

namespace fs = std::filesystem;

// `out` itself if it names an .mp4; else `name` in the folder `out`.
std::string Target(const std::string& out, const std::string& name) {
  if (fs::path(out).extension() == ".mp4") return out;
  return (fs::path(out) / name).string();
}

int Save(Session& session, const std::string& resource, const std::string& path, std::optional<uint32_t> clip,
         std::optional<uint32_t> clips) {
  absl::StatusOr<std::unique_ptr<FileDownload>> file = FileDownload::Open(path, "");
  if (!file.ok()) return session.Fail(file.status());
  const absl::Status status = clip ? session.client().DownloadClip(resource, **file)
                                   : session.client().DownloadVideo(resource, clips, **file).status();
  if (!status.ok()) return session.Fail(status);
  session.out().Saved(resource, path, (*file)->size(), (*file)->sha256_hex());
  return kExitOk;
}

}  // namespace

int RunDownload(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::optional<uint32_t> clip, clips;
  std::string out = ".";
  session.flags().AddUint("clip", &clip,
                          "Only this clip, from 0; without it, all finished clips as one file");
  session.flags().AddUint("clips", &clips, "Join only the first this many clips; default: all finished ones");
  session.flags().AddString("out", &out, "A folder, or a file that ends in .mp4");
  // "whole" may be said, for those who like to.
  if (std::optional<int> code = session.Start(args, 1, 2)) return *code;
  const bool whole = session.positional().size() == 2;
  if (whole && (session.positional()[1] != "whole" || clip)) {
    return session.Fail(absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", session.positional()[1], "': want `whole`, or --clip=N")));
  }
  if (clip && clips) return session.Fail(absl::InvalidArgumentError("--clip and --clips exclude each other"));
  const std::string name = VideoName(session.positional()[0]);
  if (clip) {
    const std::string path = Target(out, absl::StrFormat("clip-%05d.mp4", *clip));
    return Save(session, absl::StrCat(name, "/clips/", *clip), path, clip, clips);
  }
  const std::string id(absl::StripPrefix(name, "videos/"));
  return Save(session, name, Target(out, absl::StrCat(fs::path(id).filename().string(), ".mp4")), clip,
              clips);
}

}  // namespace svi::client
