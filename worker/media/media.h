// Pictures in, clips out, through FFmpeg's libraries. Errors are INVALID_ARGUMENT for bad bytes, INTERNAL
// otherwise.
#ifndef SVI_WORKER_MEDIA_MEDIA_H_
#define SVI_WORKER_MEDIA_MEDIA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/types.h"

namespace svi::media {

inline constexpr int kMaxPictureSide = 16384;              // pixels
inline constexpr int64_t kMaxPicturePixels = 8192 * 8192;  // decoding takes up to 12 bytes for each

// JPEG, PNG or WebP (by content, not by name) → RGB, upright (EXIF orientation), alpha laid over white,
// 16-bit and grey and palette converted.
absl::StatusOr<engine::Picture> DecodePicture(std::string_view bytes);

// The picture scaled to cover width x height (swscale's Lanczos), its centre cut out: to a level or two what
// the engine starts a video from. INVALID_ARGUMENT if the picture's bytes do not fit its size.
absl::StatusOr<engine::Picture> CoverPicture(const engine::Picture& picture, int width, int height);

// 8-bit RGB, lossless.
absl::StatusOr<std::string> EncodePng(const engine::Picture& picture);

struct ClipEncoderOptions {
  int width = 0;  // even
  int height = 0;
  int fps = 24;
  int crf = 17;  // x264's constant rate factor, 0..51; lower is better
};

// Encodes frames to a fragmented H.264 MP4 in memory: yuv420p, BT.709 limited range and tagged so, constant
// frame rate. The same frames give the same bytes (libx264, fixed threads); h264_nvenc is used where it
// opens.
class ClipEncoder {
 public:
  static absl::StatusOr<std::unique_ptr<ClipEncoder>> Open(const ClipEncoderOptions& options);
  virtual ~ClipEncoder() = default;
  virtual absl::Status Add(const engine::Picture& frame) = 0;  // size must be the options'
  virtual absl::StatusOr<std::string> Finish() = 0;            // the MP4; call once
};

// A decoded video, for tests and for the trainer: all frames as RGB, and what the stream says of itself.
struct Video {
  std::vector<engine::Picture> frames;
  double fps = 0;
  std::string codec, pixel_format, color_primaries, color_transfer, color_space, color_range;
};
absl::StatusOr<Video> DecodeVideo(std::string_view mp4);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_MEDIA_H_
