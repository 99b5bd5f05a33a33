// One clip from the engine's frames to an MP4 and its measures: what the agent and `svi-worker generate` have
// in common.
#ifndef SVI_WORKER_AGENT_CLIP_MAKER_H_
#define SVI_WORKER_AGENT_CLIP_MAKER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/engine.h"
#include "svi/v1/resources.pb.h"
#include "worker/agent/clip_request.h"

namespace svi::worker {

struct MadeClip {
  std::string mp4;
  std::string carry;  // for the next clip
  int frame_count = 0;
  int width = 0;
  int height = 0;
  int fps = 0;
  absl::Duration encode_time, denoise_time, decode_time, mux_time;
  absl::Duration lora_time;  // as engine::ClipResult
  v1::ClipMeasures measures;
  std::optional<v1::ClipDrift> drift;  // nothing if clip 0's measures are not known
};

struct ClipHooks {
  // As engine::ClipCallbacks::cancelled.
  std::function<bool()> cancelled = [] { return false; };
  // Stage, step, total and ETA; clip_index and worker are left empty.
  std::function<void(const v1::Progress&)> progress = [](const v1::Progress&) {};
};

// Blocks until the clip is there. Frames are measured and encoded as they are decoded, never kept. `first`:
// measures of clip 0, for the drift of later ones; null if they are not known. Errors are the engine's and
// the encoder's; a LoRA that cannot be used has the reason LORA_INVALID.
[[nodiscard]] absl::StatusOr<MadeClip> MakeClip(engine::Engine& engine, const ClipPlan& plan,
                                                const engine::Picture& picture, const std::string& carry,
                                                const v1::ClipMeasures* first, const ClipHooks& hooks);

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_CLIP_MAKER_H_
