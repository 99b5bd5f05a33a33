// A loaded checkpoint: all models of one folder, and how they are to be used.
#ifndef SVI_ENGINE_SVI_PIPELINE_H_
#define SVI_ENGINE_SVI_PIPELINE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/nn/offload.h"
#include "worker/engine/svi/defaults.h"
#include "worker/engine/svi/denoise.h"
#include "worker/engine/text/prompt_encoder.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

struct Pipeline {
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Offloadable<Vae>> vae;
  std::unique_ptr<PromptEncoder> prompts;
  SviConfig config;
  at::Device device = at::kCPU;
  at::ScalarType compute_dtype =
      at::kFloat;  // of the transformer: float32 on a CPU, bfloat16 on CUDA; the VAE has its own
  GuidanceMode guidance = GuidanceMode::kAuto;
  // Of the VAE, whether it is in memory or not.
  int64_t latent_channels = 0;
  int64_t decoder_receptive_latents = 0;
  int64_t vae_tile = 0;  // as Vae::NewDecoderState
  uint64_t parameters = 0;
  std::vector<std::string> warnings;  // what the options ask for, but should not
};

// Every model is built once, so what is wrong with any of them is found here, not in a clip. Throws
// std::invalid_argument naming every bad option (in the flags' spelling), every bad config field and every
// bad tensor of all components, MissingFile if the only faults are files that are not there.
Pipeline LoadPipeline(const EngineOptions& options, at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_PIPELINE_H_
