// The denoising loop with leading clean slots.
#ifndef SVI_ENGINE_SVI_DENOISE_H_
#define SVI_ENGINE_SVI_DENOISE_H_

#include <ATen/ATen.h>

#include <functional>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/sampler/sampler.h"

namespace svi::engine {

struct DenoiseInputs {
  at::Tensor noise;  // float32 [1, C, F, h, w]
  // float32 [1, C, n, h, w], 1 ≤ n < F: latents that stand in the first n slots as they are. Their tokens
  // carry timestep 0 in both guidance branches and they are put back after every step.
  at::Tensor clean_slots;
  std::shared_ptr<const TextContext> prompt;
  std::shared_ptr<const TextContext> negative_prompt;  // null: no guidance
  double guidance_scale = 1.0;
  at::ScalarType compute_dtype = at::kFloat;
};

// One forward pass of the transformer with guidance: negative + scale * (prompt - negative), in float32.
at::Tensor GuidedVelocity(const Transformer& transformer, const DenoiseInputs& inputs,
                          const at::Tensor& latents, double timestep);

// Runs the sampler to its end. `before_step(i)` is called before step i = 0…n-1; false stops and returns an
// undefined tensor. Returns float32 [1, C, F, h, w], clean slots included.
at::Tensor Denoise(const Transformer& transformer, FlowSampler& sampler, const DenoiseInputs& inputs,
                   const std::function<bool(int)>& before_step);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_DENOISE_H_
