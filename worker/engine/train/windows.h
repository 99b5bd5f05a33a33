// From a cached window of a video's latents to one training sample, per variant: what the transformer is
// given in training is laid out as it will be in inference (svi/variants.h; shared notes svi-5b.md,
// "Conditioning: leading clean slots").
#ifndef SVI_ENGINE_TRAIN_WINDOWS_H_
#define SVI_ENGINE_TRAIN_WINDOWS_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "engine/types.h"

namespace svi::engine {

// F = (num_frames - 1) / 4 + 1 is the number of slots of every sample.
struct WindowOptions {
  Variant variant = Variant::kPro;
  int64_t num_frames = 81;          // 4k+1, at least 9: as in inference
  double first_clip_prob = 0.2;     // share of samples laid out as a video's first clip
  double p_motion_threshold = 0.9;  // film: how often all 5 motion frames are given…
  bool repeat_first_frame = false;  // …instead of the first alone, or (true) the first five times
  // pro: latents of the longest stream from which the clip is cut at a random place; 0: 2F - 2, so that every
  // latent may be the motion latent. At least F. Videos that are shorter give what they have, F at least.
  int64_t max_stream_latents = 0;
};

// Throws std::invalid_argument naming field and limit.
void CheckWindowOptions(const WindowOptions& options);

// Frames of a video that one window encodes, of the form 4k+1, if the video has `available` of them at the
// window's stride; 0 if they are too few.
int64_t WindowFrames(const WindowOptions& options, int64_t available);

// Latents of one window, float32 on the CPU.
struct CachedWindow {
  at::Tensor stream;  // [C, S, h, w]: one continuous encode of the window's frames, S ≥ F
  // shot: single-picture encode of a frame outside of the window; pro: of one before it, or its first frame.
  // [C, 1, h, w]; undefined for film.
  at::Tensor anchor;
  // film with repeat_first_frame: one continuous encode of the first frame five times and then the frames
  // that follow it, [C, F, h, w]: no jump between the motion slots and the targets. Else undefined.
  at::Tensor still;
  at::Tensor prompt;  // [L, text_dim], rows of the prompt's tokens only
};

struct TrainingSample {
  at::Tensor latents;         // float32 [C, F, h, w]: clean slots, then targets
  int64_t clean_slots = 0;    // 1 or 2
  int64_t history_slots = 0;  // the last so many of the clean slots may be given errors, the anchor never
  at::Tensor prompt;          // [L, text_dim]
};

// One layout, drawn from `random` (a CPU generator), which advances equally for every sample:
//   first clip (first_clip_prob): z0 is the picture and an anchor; targets z1…
//   film: z0, z1 of the stream are history, targets z2…; or, by p_motion_threshold, first-clip mode once
//   more,
//         or z0, z1 of `still` and its targets
//   shot: anchor, z0 as history; targets z1…
//   pro:  anchor, m = z_j as history, j uniform over 1…S-F+1; targets z_{j+1}…
TrainingSample LayOut(const CachedWindow& window, const WindowOptions& options, at::Generator& random);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_WINDOWS_H_
