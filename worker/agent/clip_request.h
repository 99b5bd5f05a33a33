// From what a client asked for to what the engine is told: the only place where a silent field gets its
// value.
#ifndef SVI_WORKER_AGENT_CLIP_REQUEST_H_
#define SVI_WORKER_AGENT_CLIP_REQUEST_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "engine/types.h"
#include "svi/v1/resources.pb.h"

namespace svi::worker {

// A clip's request, and the frame rate of its MP4.
struct ClipPlan {
  engine::ClipRequest request;
  int fps = 24;
};

// `prompt` and `seed` are this clip's own. A size that is not set follows from the picture
// (engine::DefaultSize), so that it is the same for all clips of a video. INVALID_ARGUMENT: only one of width
// and height is set, an unknown variant or sampler; limits of single fields are the server's and the engine's
// to check.
[[nodiscard]] absl::StatusOr<ClipPlan> PlanClip(const v1::VideoSpec& spec, uint32_t clip_index,
                                                const std::string& prompt, uint64_t seed,
                                                const engine::ModelDefaults& defaults,
                                                const engine::Picture& picture);

// Seed of clip `clip_index` of a video with this seed: seed + 42 * clip_index.
[[nodiscard]] uint64_t ClipSeed(uint64_t video_seed, uint32_t clip_index);

[[nodiscard]] v1::ModelDefaults ToProto(const engine::ModelDefaults& defaults);

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_CLIP_REQUEST_H_
