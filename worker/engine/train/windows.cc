#include "worker/engine/train/windows.h"

#include <algorithm>
#include <stdexcept>

#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

int64_t SlotsOf(const WindowOptions& options) { return (options.num_frames - 1) / 4 + 1; }

void Require(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

bool IsProbability(double p) { return p >= 0 && p <= 1; }

// A copy: what the trainer does to a sample stays out of the cache.
at::Tensor Slots(const at::Tensor& latents, int64_t first, int64_t count) {
  return latents.narrow(1, first, count).clone();
}

void CheckWindow(const CachedWindow& window, const WindowOptions& options) {
  Require(window.stream.defined() && window.stream.dim() == 4 && window.stream.size(1) >= SlotsOf(options),
          "the cached window has fewer latents than num_frames asks for");
  Require(options.variant == Variant::kFilm || window.anchor.defined(), "the cached window has no anchor");
  Require(options.variant != Variant::kFilm || !options.repeat_first_frame || window.still.defined(),
          "the cached window was not encoded for repeat_first_frame");
}

// The first clip of a video: its picture is the first slot, and known to be clean.
TrainingSample FirstClip(const CachedWindow& window, int64_t slots) {
  return {Slots(window.stream, 0, slots), 1, 0, window.prompt};
}

}  // namespace

void CheckWindowOptions(const WindowOptions& options) {
  Require(options.num_frames >= 9 && options.num_frames <= 257 && options.num_frames % 4 == 1,
          "num_frames must be 4k+1 from 9 to 257");
  Require(IsProbability(options.first_clip_prob), "first_clip_prob must be from 0 to 1");
  Require(IsProbability(options.p_motion_threshold), "p_motion_threshold must be from 0 to 1");
  Require(options.max_stream_latents == 0 || options.max_stream_latents >= SlotsOf(options),
          "max_stream_latents must be 0 or at least (num_frames - 1) / 4 + 1");
}

int64_t WindowFrames(const WindowOptions& options, int64_t available) {
  if (available < options.num_frames) return 0;
  if (options.variant != Variant::kPro) return options.num_frames;
  const int64_t most = options.max_stream_latents > 0 ? options.max_stream_latents : 2 * SlotsOf(options) - 2;
  return 4 * (std::min((available - 1) / 4 + 1, most) - 1) + 1;
}

TrainingSample LayOut(const CachedWindow& window, const WindowOptions& options, at::Generator& random) {
  CheckWindow(window, options);
  const double first_clip = Uniform(random), motion = Uniform(random), place = Uniform(random);
  const int64_t slots = SlotsOf(options);
  if (first_clip < options.first_clip_prob) return FirstClip(window, slots);
  switch (options.variant) {
    case Variant::kFilm: {
      const bool moving = motion < options.p_motion_threshold;
      if (!moving && !options.repeat_first_frame) return FirstClip(window, slots);
      return {Slots(moving ? window.stream : window.still, 0, slots), 2, 2, window.prompt};
    }
    case Variant::kShot:
      return {at::cat({window.anchor, window.stream.narrow(1, 0, slots - 1)}, 1), 2, 1, window.prompt};
    case Variant::kPro: {
      const auto places = static_cast<size_t>(window.stream.size(1) - slots + 1);
      const auto history = static_cast<int64_t>(1 + Pick(place, places));
      return {at::cat({window.anchor, window.stream.narrow(1, history, slots - 1)}, 1), 2, 1, window.prompt};
    }
  }
  throw std::invalid_argument("variant: unknown");
}

}  // namespace svi::engine
