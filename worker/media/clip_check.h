// Whether bytes are the clip that they are said to be, without decoding them.
#ifndef SVI_WORKER_MEDIA_CLIP_CHECK_H_
#define SVI_WORKER_MEDIA_CLIP_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace svi::media {

struct ClipFacts {
  int width = 0, height = 0;  // pixels
  int fps = 0;
  int64_t frames = 0;
};

// Reads up to `length` bytes from `offset`; fewer only at the end.
using ReadBytes = absl::FunctionRef<absl::StatusOr<std::string>(uint64_t offset, uint64_t length)>;

// Walks through an MP4 of `size` bytes from its beginning to its end; a few pieces are in memory at a time.
// DATA_LOSS: it is not one H.264 stream of these facts, or the bytes of a frame are missing; says what is
// wrong. An error of `read` is returned as it is. Whether the frames can be decoded, or show what they
// should, is not looked at.
[[nodiscard]] absl::Status CheckClip(ReadBytes read, uint64_t size, const ClipFacts& facts);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_CLIP_CHECK_H_
