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

// The transformer under guidance.
class Guide {
 public:
  Guide(const Transformer& transformer, DenoiseInputs& inputs)
      : transformer_(transformer), scale_(inputs.guidance_scale), compute_dtype_(inputs.compute_dtype) {
    const at::Tensor& noise = inputs.noise;
    const int64_t tokens = noise.size(2) * (noise.size(3) / 2) * (noise.size(4) / 2);
    prompt_ = std::move(inputs.prompt);
    negative_prompt_ = std::move(inputs.negative_prompt);
    if (negative_prompt_ == nullptr || !GuideInOneBatch(inputs.guidance, tokens)) return;
    both_ = Transformer::JoinText(*prompt_, *negative_prompt_);
    prompt_.reset();
    negative_prompt_.reset();
  }

  // In float32.
  at::Tensor Velocity(const at::Tensor& latents, const at::Tensor& timesteps) const {
    const at::Tensor hidden = latents.to(compute_dtype_);
    at::Tensor with_prompt, without;
    if (both_ != nullptr) {
      const at::Tensor velocities =
          transformer_.Forward(hidden.expand({2, -1, -1, -1, -1}), timesteps.expand({2, -1}), *both_)
              .to(at::kFloat);
      with_prompt = velocities.narrow(0, 0, 1);
      without = velocities.narrow(0, 1, 1);
    } else {
      with_prompt = transformer_.Forward(hidden, timesteps, *prompt_).to(at::kFloat);
      if (negative_prompt_ == nullptr) return with_prompt;
      without = transformer_.Forward(hidden, timesteps, *negative_prompt_).to(at::kFloat);
    }
    return without + scale_ * (with_prompt - without);
  }

 private:
  const Transformer& transformer_;
  const double scale_;
  const at::ScalarType compute_dtype_;
  // Either both_, prompt in front, or the others.
  std::shared_ptr<const TextContext> prompt_, negative_prompt_, both_;
};

}  // namespace

bool GuideInOneBatch(GuidanceMode mode, int64_t tokens) {
  // Measured on the 5B model in bfloat16 on a CPU (processor time over 2 threads): with 128 tokens a pass
  // takes 11.4 s and a batch of two 17.4 s, a quarter less. What is saved, one pass over the weights, does
  // not grow with the tokens: about 10 % are left of it at 512 of them and 3 % at 2048, from where on memory
  // counts more.
  constexpr int64_t kTokensOfABatch = 4096;
  switch (mode) {
    case GuidanceMode::kAuto:
      return 2 * tokens <= kTokensOfABatch;
    case GuidanceMode::kBatch:
      return true;
    case GuidanceMode::kTwoPass:
      return false;
  }
  return false;
}

at::Tensor Denoise(const Transformer& transformer, FlowSampler& sampler, DenoiseInputs inputs,
                   const std::function<bool(int)>& before_step) {
  const Guide guide(transformer, inputs);
  const int64_t clean = inputs.clean_slots.size(2);
  at::Tensor latents = inputs.noise.clone();
  PutCleanSlots(inputs.clean_slots, latents);
  const auto& timesteps = sampler.schedule().timesteps;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    if (!before_step(static_cast<int>(i))) return {};
    const at::Tensor velocity = guide.Velocity(latents, TokenTimesteps(latents, clean, timesteps[i]));
    latents = sampler.Step(velocity, latents);
    PutCleanSlots(inputs.clean_slots, latents);
  }
  return latents;
}

}  // namespace svi::engine
