#include "worker/engine/svi/denoise.h"

namespace svi::engine {
namespace {

// [1, F·h/2·w/2]: 0 for the tokens of the first `clean` slots, `timestep` for the others.
at::Tensor TokenTimesteps(const at::Tensor& latents, int64_t clean, double timestep) {
  const int64_t tokens_per_slot = (latents.size(3) / 2) * (latents.size(4) / 2);
  at::Tensor timesteps =
      at::full({1, latents.size(2) * tokens_per_slot}, timestep, latents.options().dtype(at::kFloat));
  timesteps.narrow(1, 0, clean * tokens_per_slot).zero_();
  return timesteps;
}

void PutCleanSlots(const at::Tensor& clean_slots, at::Tensor& latents) {
  latents.narrow(2, 0, clean_slots.size(2)).copy_(clean_slots);
}

}  // namespace

at::Tensor GuidedVelocity(const Transformer& transformer, const DenoiseInputs& inputs,
                          const at::Tensor& latents, double timestep) {
  const at::Tensor hidden = latents.to(inputs.compute_dtype);
  const at::Tensor timesteps = TokenTimesteps(latents, inputs.clean_slots.size(2), timestep);
  const at::Tensor with_prompt = transformer.Forward(hidden, timesteps, *inputs.prompt).to(at::kFloat);
  if (inputs.negative_prompt == nullptr) return with_prompt;
  const at::Tensor without = transformer.Forward(hidden, timesteps, *inputs.negative_prompt).to(at::kFloat);
  return without + inputs.guidance_scale * (with_prompt - without);
}

at::Tensor Denoise(const Transformer& transformer, FlowSampler& sampler, const DenoiseInputs& inputs,
                   const std::function<bool(int)>& before_step) {
  at::Tensor latents = inputs.noise.clone();
  PutCleanSlots(inputs.clean_slots, latents);
  const auto& timesteps = sampler.schedule().timesteps;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    if (!before_step(static_cast<int>(i))) return {};
    const at::Tensor velocity = GuidedVelocity(transformer, inputs, latents, timesteps[i]);
    latents = sampler.Step(velocity, latents);
    PutCleanSlots(inputs.clean_slots, latents);
  }
  return latents;
}

}  // namespace svi::engine
