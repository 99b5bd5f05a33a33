// The outer structure of JPEG, PNG and WebP files: size, orientation, and whether the file is all there,
// without decoding a pixel. Private to worker/media.
#ifndef SVI_WORKER_MEDIA_PICTURE_HEADER_H_
#define SVI_WORKER_MEDIA_PICTURE_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace svi::media {

enum class PictureFormat { kJpeg, kPng, kWebp };

struct PictureHeader {
  PictureFormat format = PictureFormat::kJpeg;
  int64_t width = 0;
  int64_t height = 0;
  int orientation = 1;  // EXIF, 1..8
  // What the decoder gets: the file itself, less what has no say in the pixels where that could carry a bomb
  // (PNG's compressed text and profiles).
  std::string data;
};

// INVALID_ARGUMENT: none of the three formats, truncated, or damaged in its structure; the message says
// which. Sizes are as the file states them: the caller checks limits.
absl::StatusOr<PictureHeader> ReadPictureHeader(std::string_view bytes);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_PICTURE_HEADER_H_
