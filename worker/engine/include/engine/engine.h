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
  // Checkpoint folder, in Diffusers' layout (transformer/, vae/, text_encoder/, tokenizer/, scheduler/) or in
  // Wan's own (sharded safetensors, Wan2.2_VAE.pth, models_t5_umt5-xxl-enc-bf16.pth, google/umt5-xxl/); told
  // apart by content.
  std::string model_dir;
  // "auto" (CUDA if there is a device, else CPU), "cpu", "cuda", "cuda:N".
  std::string device = "auto";
  // Threads of one operation on a CPU; 0: as many as there are cores. Results are bit-identical for equal
  // numbers only.
  int num_threads = 0;
  // Whose weights leave memory while they are not needed: "none", "text-encoder", "vae", "all"; "auto": the
  // text encoder's on a CPU, where they are mapped and come back from the page cache, and on a GPU that the
  // whole model would fill.
  std::string offload = "auto";
  // Guidance as one "batch" of both branches or as "two-pass"; "auto": one batch while it is small enough
  // that weights, not tokens, cost the time.
  std::string guidance = "auto";
  // "float32", or "bfloat16": faster on a GPU, but leaves artefacts that add up over clips (a warning).
  std::string vae_dtype = "float32";
  // Side of the tiles that the VAE decodes a frame in, in latents (16 pixels each); 0: untiled. Less memory,
  // more time (a warning).
  int vae_tile = 0;
  // Folder of LoRA files, NAME.safetensors each; empty: none.
  std::string lora_dir;
  // Folder of published LoRAs that were fetched, named likewise; empty: none. What is here wins over
  // lora_dir.
  std::string lora_cache_dir;
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
  uint64_t lora_bytes = 0;      // of merged weights that stand in for the base's
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

  // Looks at the LoRA folder: reads the headers of files that are new or have changed, so a second call costs
  // one directory listing. Any thread, also while a clip is made. A folder that cannot be read is an empty
  // one with a refusal. Of the cache, only what is refused is listed.
  virtual LoraFolder ScanLoras() = 0;
};

// Width and height that the model uses for a picture when none are asked for: the picture's aspect at most
// defaults.max_area, no side scaled up, both floored to the multiple (at least one multiple).
void DefaultSize(const ModelDefaults& defaults, int picture_width, int picture_height, int* width,
                 int* height);

// Frames that clip `clip_index` yields when `num_frames` are denoised: all for clip 0, 5 fewer after it.
int NewFrames(int clip_index, int num_frames);

}  // namespace svi::engine

#endif  // SVI_ENGINE_ENGINE_H_
