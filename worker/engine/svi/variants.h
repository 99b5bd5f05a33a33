// The three ways of joining clips, as four questions. See shared design "Conditioning: leading clean slots".
#ifndef SVI_ENGINE_SVI_VARIANTS_H_
#define SVI_ENGINE_SVI_VARIANTS_H_

#include <ATen/ATen.h>

#include "engine/types.h"
#include "worker/engine/nn/offload.h"
#include "worker/engine/svi/carry.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

// How a clip begins and how its latents become frames.
struct ClipPlan {
  at::Tensor clean_slots;     // float32 [1, C, n, h, w] on the VAE's device
  at::Tensor anchor;          // latent of the picture; undefined for film after clip 0
  int64_t first_decoded = 0;  // latents from this slot on are decoded…
  int64_t dropped_frames =
      0;  // …and this many of the decoded frames are dropped: the clip before has shown them
  bool continues_decoder = false;  // decode with the cache of the clip before (pro) instead of an empty one
};

// Clip 0, all variants: the picture's latent is slot 0.
ClipPlan PlanFirstClip(const Vae& vae, const at::Tensor& picture /* uint8 [3, H, W] */, at::Device device);

// Later clips. pro: [anchor, last latent], decodes what is new with the carried cache. film: the last 5
// frames encoded again (2 slots), drops 5. shot: [anchor, last frame encoded], the anchor is not decoded,
// drops 1. Only film and shot use the VAE.
ClipPlan PlanNextClip(Offloadable<Vae>& vae, const Carry& carry, at::Device device);

// Frames of overlap that the next clip of this variant wants kept: film 5, shot 1, pro 0.
int64_t KeptFrames(Variant variant);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_VARIANTS_H_
