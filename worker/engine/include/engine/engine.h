// The engine's facade: a loaded model that makes clips. The only engine header, with types.h and
// checkpoint_tools.h, that the rest of the worker includes; it keeps LibTorch (and its fmt and protobuf
// headers) out of everything else.
#ifndef SVI_ENGINE_ENGINE_H_
#define SVI_ENGINE_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/types.h"

namespace svi::engine {

struct EngineOptions {
  // Checkpoint folder in Diffusers layout: transformer/, vae/, text_encoder/, tokenizer/, scheduler/,
  // model_index.json.
  std::string model_dir;
  // "auto" (CUDA if there is a device, else CPU), "cpu", "cuda", "cuda:N".
  std::string device = "auto";
  // Threads of one operation on a CPU; 0: as many as there are cores. Results are bit-identical for equal
  // numbers only.
  int num_threads = 0;
};

struct EngineInfo {
  std::string device;       // "cpu", or the GPU's name
  std::string model_label;  // name from svi_config.json, else the folder's own name
  uint64_t parameters = 0;  // of all components
  ModelDefaults defaults;
  std::vector<std::string> warnings;  // for the log: what works, but not as well as it should
};

struct MemoryUse {
  uint64_t resident_bytes = 0;  // of this process
  uint64_t device_bytes = 0;    // allocated on the GPU, 0 on a CPU
};

// Thread-compatible: one clip at a time.
class Engine {
 public:
  // NOT_FOUND: no such folder or file. INVALID_ARGUMENT: a config or a tensor that is missing, extra or
  // misshapen; the message names all of them. FAILED_PRECONDITION: the device is not there.
  // RESOURCE_EXHAUSTED: out of memory.
  static absl::StatusOr<std::unique_ptr<Engine>> Load(const EngineOptions& options);
  virtual ~Engine() = default;

  virtual const EngineInfo& info() const = 0;

  // Makes one clip. `picture` is any size: scaled to cover width × height (Lanczos) and centre-cropped; used
  // by clip 0 only, apart from the shot variant's anchor, which travels in the carry. `carry`:
  // ClipResult::carry of clip clip_index - 1, empty for clip 0. CANCELLED, INVALID_ARGUMENT (request or carry
  // do not fit the model), NOT_FOUND (LoRA), RESOURCE_EXHAUSTED (out of memory; later clips are not
  // affected), INTERNAL.
  virtual absl::StatusOr<ClipResult> GenerateClip(const ClipRequest& request, const Picture& picture,
                                                  const std::string& carry,
                                                  const ClipCallbacks& callbacks) = 0;

  virtual MemoryUse memory() const = 0;
};

// Width and height that the model uses for a picture when none are asked for: the picture's aspect at most
// defaults.max_area, no side scaled up, both floored to the multiple (at least one multiple).
void DefaultSize(const ModelDefaults& defaults, int picture_width, int picture_height, int* width,
                 int* height);

// Frames that clip `clip_index` yields when `num_frames` are denoised: all for clip 0, 5 fewer after it.
int NewFrames(int clip_index, int num_frames);

}  // namespace svi::engine

#endif  // SVI_ENGINE_ENGINE_H_
