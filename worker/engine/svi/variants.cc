#include "worker/engine/svi/variants.h"

#include "worker/engine/svi/pictures.h"

namespace svi::engine {

namespace {

// float32, whatever the VAE computes in: the carry's latents are.
at::Tensor Encode(const Vae& vae, const at::Tensor& frames, at::Device device) {
  return vae.Encode(ToVideo(frames).to(device)).to(at::kFloat);
}

}  // namespace

ClipPlan PlanFirstClip(const Vae& vae, const at::Tensor& picture, at::Device device) {
  ClipPlan plan;
  plan.anchor = Encode(vae, picture, device);
  plan.clean_slots = plan.anchor;
  return plan;
}

ClipPlan PlanNextClip(Offloadable<Vae>& vae, const Carry& carry, at::Device device) {
  ClipPlan plan;
  if (carry.anchor.defined()) plan.anchor = carry.anchor.to(device);
  switch (carry.variant) {
    case Variant::kPro: {
      const at::Tensor motion = carry.latents.narrow(2, carry.latents.size(2) - 1, 1).to(device);
      plan.clean_slots = at::cat({plan.anchor, motion}, 2);
      plan.first_decoded = 2;
      plan.continues_decoder = true;
      break;
    }
    case Variant::kFilm:
      plan.clean_slots = Encode(*vae.Use(), carry.frames, device);
      plan.dropped_frames = 5;
      break;
    case Variant::kShot:
      plan.clean_slots = at::cat({plan.anchor, Encode(*vae.Use(), carry.frames, device)}, 2);
      plan.first_decoded = 1;
      plan.dropped_frames = 1;
      break;
  }
  return plan;
}

int64_t KeptFrames(Variant variant) {
  switch (variant) {
    case Variant::kPro:
      return 0;
    case Variant::kFilm:
      return 5;
    case Variant::kShot:
      return 1;
  }
  return 0;
}

}  // namespace svi::engine
