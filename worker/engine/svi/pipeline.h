// A loaded checkpoint: all models of one folder in Diffusers layout.
#ifndef SVI_ENGINE_SVI_PIPELINE_H_
#define SVI_ENGINE_SVI_PIPELINE_H_

#include <ATen/ATen.h>

#include <memory>
#include <string>

#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/svi/defaults.h"
#include "worker/engine/text/prompt_encoder.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

struct Pipeline {
  std::unique_ptr<Transformer> transformer;
  std::unique_ptr<Vae> vae;
  std::unique_ptr<PromptEncoder> prompts;
  SviConfig config;
  at::Device device = at::kCPU;
  at::ScalarType compute_dtype =
      at::kFloat;  // float32 on a CPU, bfloat16 on CUDA; the VAE is float32 everywhere
  uint64_t parameters = 0;
};

// Throws std::invalid_argument (names every bad tensor of the first bad component, or the bad config field)
// and MissingFile.
Pipeline LoadPipeline(const std::string& dir, at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_PIPELINE_H_
