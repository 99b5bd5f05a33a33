// The denoising loop with leading clean slots.
#ifndef SVI_ENGINE_SVI_DENOISE_H_
#define SVI_ENGINE_SVI_DENOISE_H_

#include <ATen/ATen.h>

#include <functional>
#include <memory>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/sampler/sampler.h"

namespace svi::engine {

// How both branches of guidance go through the transformer: as one batch of two, which reads every weight
// once a step, or one after the other, which needs half the memory for activations.
enum class GuidanceMode { kAuto, kBatch, kTwoPass };

// Follows from the mode and the clip's size alone, so that all workers with equal options make equal clips.
// `tokens`: of one branch.
bool GuideInOneBatch(GuidanceMode mode, int64_t tokens);

struct DenoiseInputs {
  at::Tensor noise;  // float32 [1, C, F, h, w]
  // float32 [1, C, n, h, w], 1 ≤ n < F: latents that stand in the first n slots as they are. Their tokens
  // carry timestep 0 in both guidance branches and they are put back after every step.
  at::Tensor clean_slots;
  std::shared_ptr<const TextContext> prompt;
  std::shared_ptr<const TextContext> negative_prompt;  // null: no guidance
  double guidance_scale = 1.0;
  GuidanceMode guidance = GuidanceMode::kTwoPass;  // in one batch, texts must be of one length
  at::ScalarType compute_dtype = at::kFloat;
};

// Runs the sampler to its end on the guided velocity, negative + scale * (prompt - negative).
// `before_step(i)` is called before step i = 0…n-1; false stops and returns an undefined tensor. Returns
// float32 [1, C, F, h, w], clean slots included. Takes `inputs` as its own: contexts that nobody else holds
// are freed once they have become one batch.
at::Tensor Denoise(const Transformer& transformer, FlowSampler& sampler, DenoiseInputs inputs,
                   const std::function<bool(int)>& before_step);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_DENOISE_H_
