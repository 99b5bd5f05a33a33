#include "worker/engine_flags.h"

namespace svi::worker {

void AddEngineFlags(FlagParser& parser, engine::EngineOptions* options) {
  parser.AddString("model", &options->model_dir,
                   "checkpoint folder, in Diffusers' layout or in Wan's own; required");
  parser.AddString("device", &options->device, "auto, cpu, cuda or cuda:N");
  parser.AddInt("threads", &options->num_threads, "threads of one operation on a CPU; 0: one a core");
  parser.AddString("offload", &options->offload,
                   "whose weights leave memory while not needed: auto, none, text-encoder, vae or all");
  parser.AddString("guidance", &options->guidance,
                   "both branches of guidance as one batch or in two passes: auto, batch or two-pass");
  parser.AddString("vae-dtype", &options->vae_dtype,
                   "float32, or bfloat16: artefacts that add up from clip to clip");
  parser.AddInt("vae-tile", &options->vae_tile,
                "decode frames in tiles of this many latents a side, at least 8, for less memory; 0: whole");
  parser.AddString("lora-dir", &options->lora_dir,
                   "folder of LoRA files, NAME.safetensors each; looked at again and again");
}

}  // namespace svi::worker
