// Pictures of strangers, decoded where they can do no harm.
#ifndef SVI_WORKER_MEDIA_PICTURE_CHECK_H_
#define SVI_WORKER_MEDIA_PICTURE_CHECK_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace svi::media {

// What the decoding of one picture may cost.
struct PictureLimits {
  int64_t memory = int64_t{1280} << 20;     // bytes; the largest pictures take 1 GiB
  int cpu_seconds = 20;                     // ≥ 1
  absl::Duration wait = absl::Seconds(60);  // all in all, the wait for a turn included
};

// Whether DecodePicture reads `bytes`, found out in a child process: a decoder that wants too much memory or
// time, or that crashes, costs this process nothing. At most two pictures are decoded at a time. Thread-safe.
// INVALID_ARGUMENT: as DecodePicture, and where decoding takes more memory or CPU time than it may, or
// crashes. UNAVAILABLE: not done in time, for whatever else the machine does; try again. INTERNAL: no child.
[[nodiscard]] absl::Status CheckPicture(std::string_view bytes, const PictureLimits& limits = {});

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_PICTURE_CHECK_H_
