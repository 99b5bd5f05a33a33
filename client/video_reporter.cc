#include "client/video_reporter.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace svi::client {

VideoReporter::VideoReporter(Reporter& out) : out_(out) {}

void VideoReporter::Created(const v1::Video& video) {
  if (out_.json()) return out_.Json(video, "created");
  out_.Line(absl::StrCat("created ", video.name()));
}

void VideoReporter::Watching(const v1::Video& video) {
  progress_.SetTotal(video.clips_total());
  out_.SetBar([this](int width) { return RenderBar(progress_, width); });
}

void VideoReporter::Event(const v1::VideoEvent& event) {
  if (out_.json()) return out_.Json(event, "event");
  progress_.Update(event);
  DescribeEvent(event);
  out_.DrawBar();
}

void VideoReporter::DescribeEvent(const v1::VideoEvent& event) {
  switch (event.event_case()) {
    case v1::VideoEvent::kStateChanged:
      // The last state is reported with the video, and others show in the bar.
      if (out_.mode() == OutputMode::kPlain && event.state_changed().state() <= v1::VIDEO_STATE_WAITING) {
        out_.Line(StateName(event.state_changed().state()));
      }
      break;
    case v1::VideoEvent::kClipStarted: {
      const v1::ClipStarted& started = event.clip_started();
      const std::string again = started.attempt() > 1 ? absl::StrCat(", attempt ", started.attempt()) : "";
      if (out_.mode() == OutputMode::kPlain) {
        out_.Line(absl::StrCat("clip ", started.clip_index() + 1, "/", progress_.clips_total(),
                               " started on ", started.worker(), again));
      }
      break;
    }
    case v1::VideoEvent::kClipDone:
      out_.Line(absl::StrFormat("clip %d/%d done: %d frames, %dx%d, %s", event.clip_done().index() + 1,
                                progress_.clips_total(), event.clip_done().frame_count(),
                                event.clip_done().width(), event.clip_done().height(),
                                ShortSize(event.clip_done().size_bytes())));
      break;
    case v1::VideoEvent::kClipAttemptFailed: {
      const v1::ClipAttemptFailed& failed = event.clip_attempt_failed();
      out_.Line(absl::StrCat("clip ", failed.clip_index() + 1, ": attempt ", failed.attempt(), " of ",
                             failed.max_attempts(), " failed: ", failed.error().message(), " (",
                             failed.error().reason(), ")"));
      break;
    }
    case v1::VideoEvent::kPromptsChanged:
      out_.Line(absl::StrCat("prompts changed: ", event.prompts_changed().clips_total(), " clips",
                             event.prompts_changed().finished() ? ", no more will come" : ""));
      break;
    case v1::VideoEvent::kProgress:
      if (out_.mode() == OutputMode::kPlain) PlainProgress(event.progress());
      break;
    case v1::VideoEvent::EVENT_NOT_SET:
      break;
  }
}

void VideoReporter::PlainProgress(const v1::Progress& progress) {
  // A line a stage, and one a tenth of it: a log wants no more.
  const uint32_t tenth = progress.total() == 0 ? 0 : progress.step() * 10 / progress.total();
  const std::string key = absl::StrCat(progress.clip_index(), "/", progress.stage(), "/", tenth);
  if (key == last_progress_) return;
  last_progress_ = key;
  const std::string eta = progress.has_eta()
                              ? absl::StrCat(", ETA ", ShortDuration(absl::Seconds(progress.eta().seconds())))
                              : "";
  out_.Line(absl::StrCat("clip ", progress.clip_index() + 1, "/", progress_.clips_total(), " ",
                         StageName(progress.stage()), " ", progress.step(), "/", progress.total(), eta));
}

void VideoReporter::Ended(const v1::Video& video) {
  if (out_.json()) return out_.Json(video, "ended");
  std::string text = absl::StrCat(video.name(), " ", StateName(video.state()), ": ", video.clips_done(),
                                  " of ", video.clips_total(), " clips");
  if (video.state() == v1::VIDEO_STATE_FAILED) {
    absl::StrAppend(&text, "\n  ", video.error().message(), " (", video.error().reason(), ")");
  }
  out_.Line(text);
}

}  // namespace svi::client
