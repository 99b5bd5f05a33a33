#include "client/progress_bar.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace svi::client {
namespace {

// Share of a clip's work that is done when a stage begins, and that the stage is.
struct StageShare {
  double before, share;
};

StageShare ShareOf(v1::Stage stage) {
  switch (stage) {
    case v1::STAGE_ENCODE:
      return {0.0, 0.05};
    case v1::STAGE_DENOISE:
      return {0.05, 0.80};
    case v1::STAGE_DECODE:
      return {0.85, 0.12};
    case v1::STAGE_MUX:
      return {0.97, 0.02};
    case v1::STAGE_UPLOAD:
      return {0.99, 0.01};
    default:
      return {0.0, 0.0};
  }
}

// The end of an enum's name, in lower case.
std::string Short(const std::string& name, size_t prefix) {
  return absl::AsciiStrToLower(name.size() > prefix ? name.substr(prefix) : name);
}

}  // namespace

std::string StageName(v1::Stage stage) { return Short(v1::Stage_Name(stage), sizeof("STAGE_") - 1); }

std::string StateName(v1::VideoState state) {
  return Short(v1::VideoState_Name(state), sizeof("VIDEO_STATE_") - 1);
}

std::string ShortDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration + absl::Milliseconds(500)));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
}

void VideoProgress::Update(const v1::VideoEvent& event) {
  switch (event.event_case()) {
    case v1::VideoEvent::kStateChanged:
      state_ = event.state_changed().state();
      if (state_ != v1::VIDEO_STATE_RUNNING) clip_.reset();
      break;
    case v1::VideoEvent::kClipStarted:
      clip_.emplace();
      clip_->set_clip_index(event.clip_started().clip_index());
      break;
    case v1::VideoEvent::kClipDone:
      clips_done_ = std::max(clips_done_, event.clip_done().index() + 1);
      clip_.reset();
      break;
    case v1::VideoEvent::kClipAttemptFailed:
      clip_.reset();
      break;
    case v1::VideoEvent::kPromptsChanged:
      clips_total_ = event.prompts_changed().clips_total();
      break;
    case v1::VideoEvent::kProgress:
      // What is late, about a clip that has landed since, says nothing.
      if (event.progress().clip_index() >= clips_done_) clip_ = event.progress();
      break;
    case v1::VideoEvent::EVENT_NOT_SET:
      break;
  }
}

double VideoProgress::Fraction() const {
  const uint32_t total = std::max(clips_total_, clips_done_);
  if (total == 0) return 0;
  double clips = clips_done_;
  if (clip_.has_value()) {
    const StageShare share = ShareOf(clip_->stage());
    const double part =
        clip_->total() == 0 ? 0.0 : std::min(1.0, static_cast<double>(clip_->step()) / clip_->total());
    clips += share.before + share.share * part;
  }
  return std::min(1.0, clips / total);
}

std::string RenderBar(const std::string& left, double fraction, const std::string& right, int width) {
  const std::string percent = absl::StrFormat("%3d%% ", static_cast<int>(fraction * 100));
  constexpr int kMinBar = 5, kMaxBar = 40;
  const int words = static_cast<int>(left.size() + percent.size() + right.size());
  const int bar = std::min(width - words - 4, kMaxBar);  // two brackets, two spaces
  if (bar < kMinBar) {
    return absl::StrCat(left, " ", percent, right).substr(0, static_cast<size_t>(std::max(width, 0)));
  }
  const int filled = static_cast<int>(fraction * bar);
  return absl::StrCat(left, " [", std::string(static_cast<size_t>(filled), '#'),
                      std::string(static_cast<size_t>(bar - filled), '-'), "] ", percent, right);
}

std::string RenderBar(const VideoProgress& progress, int width) {
  const uint32_t total = std::max(progress.clips_total(), progress.clips_done());
  const uint32_t at = progress.clip() ? progress.clip()->clip_index() + 1 : progress.clips_done();
  std::string right;
  if (!progress.clip()) {
    right = StateName(progress.state());
  } else if (progress.clip()->stage() == v1::STAGE_UNSPECIFIED) {
    right = "starting";
  } else {
    const v1::Progress& clip = *progress.clip();
    right = StageName(clip.stage());
    if (clip.total() != 0) absl::StrAppend(&right, " ", clip.step(), "/", clip.total());
    if (clip.has_eta()) {
      absl::StrAppend(&right, " ETA ", ShortDuration(absl::Seconds(clip.eta().seconds())));
    }
  }
  return RenderBar(absl::StrCat("clip ", at, "/", total), progress.Fraction(), right, width);
}

}  // namespace svi::client
