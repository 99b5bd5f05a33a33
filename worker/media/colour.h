// Conversions between RGB and YUV with the matrix and range said outright. Private to worker/media.
#ifndef SVI_WORKER_MEDIA_COLOUR_H_
#define SVI_WORKER_MEDIA_COLOUR_H_

#include "absl/status/statusor.h"
#include "engine/types.h"
#include "worker/media/ffmpeg.h"

namespace svi::media {

// RGB24 → YUV420P, BT.709, limited range.
absl::StatusOr<SwsPtr> RgbToBt709(int width, int height);

// A decoded frame → RGB24, or RGBA when it has alpha (palettes always). YUV without a matrix tag is read with
// `default_space`; range as the frame says, else full for the yuvj formats and limited for other YUV.
absl::StatusOr<FramePtr> ToRgb(const AVFrame& frame, AVColorSpace default_space);

// Copies between the engine's packed pictures and padded RGB24 frames.
engine::Picture PictureFromRgb24(const AVFrame& frame);
void CopyToRgb24(const engine::Picture& picture, AVFrame* frame);
// RGBA laid over white.
engine::Picture PictureFromRgba(const AVFrame& frame);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_COLOUR_H_
