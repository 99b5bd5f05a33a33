// What SVI hands from clip to clip, and its form on disk.
#ifndef SVI_ENGINE_SVI_CARRY_H_
#define SVI_ENGINE_SVI_CARRY_H_

#include <ATen/ATen.h>

#include <string>

#include "engine/types.h"

namespace svi::engine {

// Which tensors are there depends on the variant; the others are undefined.
struct Carry {
  int clip_index = 0;  // of the clip that made it
  Variant variant = Variant::kPro;
  int width = 0;  // pixels
  int height = 0;

  // pro, shot: the picture's latent, float32 [1, C, 1, h, w].
  at::Tensor anchor;
  // pro: the newest decoded latents of the video, float32 [1, C, n, h, w], n ≤ the decoder's receptive field.
  // The last is the motion latent; decoding all of them from an empty cache rebuilds the decoder's state.
  at::Tensor latents;
  // film: the last 5 frames; shot: the last one. uint8 [F, 3, H, W], as the viewer got them before H.264.
  at::Tensor frames;
};

// A safetensors file; equal carries give equal bytes.
std::string SerializeCarry(const Carry& carry);

// Throws std::invalid_argument, naming what is wrong, unless the bytes are a carry that clip
// `request.clip_index` can continue: made by the clip before it, same variant and size, tensors of the right
// shapes for `latent_channels`.
Carry ParseCarry(const std::string& bytes, const ClipRequest& request, int64_t latent_channels);

const char* VariantName(Variant variant);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_CARRY_H_
