// Which frames of a video a window takes, and their latents.
#ifndef SVI_ENGINE_TRAIN_WINDOW_ENCODER_H_
#define SVI_ENGINE_TRAIN_WINDOW_ENCODER_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/video_source.h"
#include "worker/engine/train/windows.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

struct WindowPlan {
  int64_t frames = 0;  // 4k+1; 0: the video is too short
  int64_t start = 0;   // number of the first one
  int64_t stride = 1;
  int64_t anchor = -1;         // number of the anchor's frame; -1: the variant has none
  bool anchor_inside = false;  // shot: the video has no frame outside of the window
  double crop_x = 0.5;         // as CoverPicture
  double crop_y = 0.5;
};

// Draws stride, start, crop and anchor; takes equally much from `random` for every video.
//   stride: uniform over those of 1…max_stride for which the video is long enough
//   start: uniform over what the window's length leaves
//   anchor: shot: uniform over the frames before and after the window; pro: over those up to its first one,
//   which
//           itself lies before every clip that is cut out of the window
WindowPlan PlanWindow(const WindowOptions& options, int64_t max_stride, int64_t video_frames,
                      at::Generator& random);

// Reads the plan's frames in one pass and encodes them. All but `prompt` of the result, float32 on the CPU.
// An error is the video's; throws what is the model's.
absl::StatusOr<CachedWindow> EncodeWindow(const WindowPlan& plan, const WindowOptions& options,
                                          VideoSource& videos, size_t item, const Vae& vae, int width,
                                          int height, at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_WINDOW_ENCODER_H_
