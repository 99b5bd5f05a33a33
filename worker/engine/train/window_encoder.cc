#include "worker/engine/train/window_encoder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/engine/svi/pictures.h"
#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

int64_t PickOf(double uniform, int64_t count) {
  return static_cast<int64_t>(Pick(uniform, static_cast<size_t>(count)));
}

void PlanAnchor(Variant variant, double uniform, int64_t video_frames, WindowPlan* plan) {
  if (variant == Variant::kFilm) return;
  if (variant == Variant::kPro) {
    plan->anchor = PickOf(uniform, plan->start + 1);
    return;
  }
  const int64_t span = (plan->frames - 1) * plan->stride + 1;
  plan->anchor_inside = span == video_frames;
  plan->anchor = plan->start;
  if (plan->anchor_inside) return;
  const int64_t outside = PickOf(uniform, video_frames - span);
  plan->anchor = outside < plan->start ? outside : outside + span;
}

// uint8 [3, H, W] each.
struct Frames {
  std::vector<at::Tensor> window;
  at::Tensor anchor;
};

absl::StatusOr<Frames> Read(const WindowPlan& plan, VideoSource& videos, size_t item, int width, int height) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < plan.frames; ++i) numbers.push_back(plan.start + i * plan.stride);
  // In front of the window or behind it; one and the same number may stand there twice.
  const bool has_anchor = plan.anchor >= 0, anchor_first = plan.anchor <= plan.start;
  if (has_anchor) numbers.insert(anchor_first ? numbers.begin() : numbers.end(), plan.anchor);
  const size_t anchor_at = !has_anchor ? numbers.size() : anchor_first ? 0 : numbers.size() - 1;

  Frames frames;
  size_t read = 0;
  absl::Status status = videos.ReadFrames(item, numbers, [&](const Picture& picture) {
    at::Tensor frame = CoverPicture(picture, width, height, plan.crop_x, plan.crop_y);
    if (read++ == anchor_at) {
      frames.anchor = std::move(frame);
    } else {
      frames.window.push_back(std::move(frame));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return frames;
}

// uint8 [F, 3, H, W] → [C, (F - 1) / 4 + 1, h, w]. As inference encodes (svi/variants.cc).
at::Tensor Encode(const Vae& vae, const at::Tensor& frames, at::Device device) {
  return vae.Encode(ToVideo(frames.to(device))).to(at::kFloat).select(0, 0).to(at::kCPU);
}

// The first frame five times, then those that follow it: as many frames as `window` has.
at::Tensor BeginStill(const at::Tensor& window) {
  return at::cat({window.narrow(0, 0, 1).expand({4, -1, -1, -1}), window.narrow(0, 0, window.size(0) - 4)});
}

}  // namespace

WindowPlan PlanWindow(const WindowOptions& options, int64_t max_stride, int64_t video_frames,
                      at::Generator& random) {
  const double stride = Uniform(random), start = Uniform(random), anchor = Uniform(random);
  WindowPlan plan;
  plan.crop_x = Uniform(random);
  plan.crop_y = Uniform(random);
  if (WindowFrames(options, video_frames) == 0) return plan;
  const int64_t longest_stride = std::min(max_stride, (video_frames - 1) / (options.num_frames - 1));
  plan.stride = 1 + PickOf(stride, longest_stride);
  plan.frames = WindowFrames(options, (video_frames - 1) / plan.stride + 1);
  plan.start = PickOf(start, video_frames - (plan.frames - 1) * plan.stride);
  PlanAnchor(options.variant, anchor, video_frames, &plan);
  return plan;
}

absl::StatusOr<CachedWindow> EncodeWindow(const WindowPlan& plan, const WindowOptions& options,
                                          VideoSource& videos, size_t item, const Vae& vae, int width,
                                          int height, at::Device device) {
  const absl::StatusOr<Frames> frames = Read(plan, videos, item, width, height);
  if (!frames.ok()) return frames.status();
  const at::Tensor video = at::stack(frames->window);
  CachedWindow window;
  window.stream = Encode(vae, video, device);
  if (frames->anchor.defined()) window.anchor = Encode(vae, frames->anchor.unsqueeze(0), device);
  if (options.variant == Variant::kFilm && options.repeat_first_frame) {
    window.still = Encode(vae, BeginStill(video), device);
  }
  return window;
}

}  // namespace svi::engine
