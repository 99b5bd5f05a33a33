// The noise that denoising starts from.
#ifndef SVI_ENGINE_SAMPLER_NOISE_H_
#define SVI_ENGINE_SAMPLER_NOISE_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace svi::engine {

// Standard normal float32 on the CPU, bit for bit what
// torch.randn(shape, generator=torch.Generator().manual_seed(seed)) gives. Always drawn on the CPU, so that a
// seed means the same noise on every device.
at::Tensor InitialNoise(uint64_t seed, at::IntArrayRef shape);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SAMPLER_NOISE_H_
