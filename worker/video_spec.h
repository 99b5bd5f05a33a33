// What the flags of a command that makes videos may say.
#ifndef SVI_WORKER_VIDEO_SPEC_H_
#define SVI_WORKER_VIDEO_SPEC_H_

#include "absl/status/status.h"
#include "svi/v1/resources.pb.h"

namespace svi::worker {

// The server's limits (proto/svi/v1/resources.proto). INVALID_ARGUMENT names the flag (client/video_flags.h)
// and its limit. A spec without prompts is none of its concern.
[[nodiscard]] absl::Status CheckVideoSpec(const v1::VideoSpec& spec);

}  // namespace svi::worker

#endif  // SVI_WORKER_VIDEO_SPEC_H_
