// One line that says how far a video is.
#ifndef SVI_CLIENT_PROGRESS_BAR_H_
#define SVI_CLIENT_PROGRESS_BAR_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "svi/v1/resources.pb.h"

namespace svi::client {

// Where a video stands, gathered from its events.
class VideoProgress {
 public:
  void SetTotal(uint32_t clips_total) { clips_total_ = clips_total; }
  // Takes in any event.
  void Update(const v1::VideoEvent& event);

  uint32_t clips_total() const { return clips_total_; }
  uint32_t clips_done() const { return clips_done_; }
  v1::VideoState state() const { return state_; }
  const std::optional<v1::Progress>& clip() const { return clip_; }
  // Of the whole video, 0..1. Denoising is taken for 4/5 of a clip's work.
  double Fraction() const;

 private:
  uint32_t clips_total_ = 0;
  uint32_t clips_done_ = 0;
  v1::VideoState state_ = v1::VIDEO_STATE_UNSPECIFIED;
  std::optional<v1::Progress> clip_;  // of the clip in the making, if any
};

// "clip 2/3 [#####-----]  48% denoise 12/50 ETA 1m20s", at most `width` columns; the bar takes what the words
// leave.
std::string RenderBar(const VideoProgress& progress, int width);

// "LEFT [#####-----]  48% RIGHT", at most `width` columns, without the bar if the words leave no room for it.
std::string RenderBar(const std::string& left, double fraction, const std::string& right, int width);

// "encode", "denoise", …
std::string StageName(v1::Stage stage);
// "queued", "running", …
std::string StateName(v1::VideoState state);
// "45s", "3m20s", "1h05m".
std::string ShortDuration(absl::Duration duration);

}  // namespace svi::client

#endif  // SVI_CLIENT_PROGRESS_BAR_H_
