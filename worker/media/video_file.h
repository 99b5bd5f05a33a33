// Videos on disk, decoded frame by frame.
#ifndef SVI_WORKER_MEDIA_VIDEO_FILE_H_
#define SVI_WORKER_MEDIA_VIDEO_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/types.h"

namespace svi::media {

inline constexpr int64_t kMaxVideoPixels = 8192 * 4608;  // of one frame: 8K and a little

// Any container that holds its own frames (MP4, MOV, MKV, WebM, AVI, MPEG, Ogg, FLV, …; playlists and lists
// of other files are refused), any codec of this FFmpeg. Decodes the best video stream from its beginning, in
// display order; there is no seeking, since few containers can do it to the frame. Errors are
// INVALID_ARGUMENT for what is no video, damaged or too large, NOT_FOUND for no such file; messages hold no
// paths.
class VideoFile {
 public:
  static absl::StatusOr<std::unique_ptr<VideoFile>> Open(const std::string& path);
  virtual ~VideoFile() = default;

  // The next frame as RGB, upright (display matrix) and over white where it has alpha; none at the end.
  virtual absl::StatusOr<std::optional<engine::Picture>> Next() = 0;
  // Decodes the next frame and forgets it, without converting it; false at the end.
  virtual absl::StatusOr<bool> Skip() = 0;

  // Of the frame that came last, upright; 0 before the first.
  virtual int width() const = 0;
  virtual int height() const = 0;
  virtual double fps() const = 0;  // as the container states it; 0: it does not
};

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_VIDEO_FILE_H_
