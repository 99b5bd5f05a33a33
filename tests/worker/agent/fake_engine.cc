#include "tests/worker/agent/fake_engine.h"

#include <algorithm>
#include <utility>

namespace svi::engine {

// The agent reaches these through engine.h; the real ones are in svi_engine, which needs LibTorch.
void DefaultSize(const ModelDefaults& defaults, int picture_width, int picture_height, int* width,
                 int* height) {
  const auto floor = [&](int side) {
    return std::max(side / defaults.size_multiple, 1) * defaults.size_multiple;
  };
  *width = floor(std::min(picture_width, 64));
  *height = floor(std::min(picture_height, 64));
}
int NewFrames(int clip_index, int num_frames) { return clip_index == 0 ? num_frames : num_frames - 5; }

}  // namespace svi::engine

namespace svi::worker {

FakeEngine::FakeEngine() {
  info_.device = "cpu";
  info_.model_label = "fake";
  info_.defaults.num_frames = 9;
  info_.defaults.num_inference_steps = 4;
  info_.defaults.negative_prompt = "blurry";
}

std::string FakeCarry(int clip_index, size_t size) {
  std::string carry(size, '\0');
  for (size_t i = 0; i < size; ++i) carry[i] = static_cast<char>((i * 131 + i / 251 + clip_index) & 255);
  return carry;
}

absl::StatusOr<engine::ClipResult> FakeEngine::GenerateClip(const engine::ClipRequest& request,
                                                            const engine::Picture& picture,
                                                            const std::string& carry,
                                                            const engine::ClipCallbacks& callbacks) {
  {
    absl::MutexLock lock(&mu_);
    requests_.push_back(request);
    carries_.push_back(carry);
  }
  auto result = Generate(request, picture, callbacks);
  absl::MutexLock lock(&mu_);
  outcomes_.push_back(result.status().code());
  return result;
}

absl::StatusOr<engine::ClipResult> FakeEngine::Generate(const engine::ClipRequest& request,
                                                        const engine::Picture& picture,
                                                        const engine::ClipCallbacks& callbacks) {
  {
    absl::MutexLock lock(&mu_);
    if (!fail_next_.ok()) return std::exchange(fail_next_, absl::OkStatus());
  }
  callbacks.progress({.stage = engine::Stage::kEncode, .step = 1, .total = 1});
  for (int step = 0; step < request.num_inference_steps; ++step) {
    {
      absl::MutexLock lock(&mu_);
      if (step == stop_before_) {
        stopped_ = true;
        mu_.Await(absl::Condition(this, &FakeEngine::MayRun));
        stopped_ = false;
      }
      if (!fail_next_.ok()) return std::exchange(fail_next_, absl::OkStatus());
    }
    if (callbacks.cancelled()) return absl::CancelledError("cancelled");
    callbacks.progress({.stage = engine::Stage::kDenoise,
                        .step = step + 1,
                        .total = request.num_inference_steps,
                        .eta = absl::Seconds(request.num_inference_steps - step - 1)});
  }
  engine::ClipResult result;
  result.frame_count = engine::NewFrames(request.clip_index, request.num_frames);
  for (int i = 0; i < result.frame_count; ++i) {
    engine::Picture frame{.width = request.width, .height = request.height, .rgb = {}};
    frame.rgb.assign(size_t{3} * request.width * request.height,
                     static_cast<uint8_t>(10 * i + picture.rgb[0] / 2));
    if (absl::Status status = callbacks.frame(frame); !status.ok()) return status;
  }
  result.carry = FakeCarry(request.clip_index, carry_bytes_);
  result.encode_time = absl::Milliseconds(1500);
  result.denoise_time = absl::Seconds(2);
  result.decode_time = absl::Seconds(3);
  if (!request.loras.empty()) result.lora_time = absl::Milliseconds(500);
  return result;
}

engine::LoraFolder FakeEngine::ScanLoras() {
  absl::MutexLock lock(&mu_);
  return loras_;
}

void FakeEngine::SetLoras(engine::LoraFolder loras) {
  absl::MutexLock lock(&mu_);
  loras_ = std::move(loras);
}

void FakeEngine::StopBefore(int step) {
  absl::MutexLock lock(&mu_);
  stop_before_ = step;
}

void FakeEngine::WaitStopped() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &FakeEngine::Stopped));
}

void FakeEngine::WaitOutcomes(size_t count) {
  const auto ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return outcomes_.size() >= count; };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&ended));
}

void FakeEngine::Proceed() { StopBefore(-1); }

void FakeEngine::FailNext(absl::Status status) {
  absl::MutexLock lock(&mu_);
  fail_next_ = std::move(status);
}

std::vector<engine::ClipRequest> FakeEngine::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}
std::vector<std::string> FakeEngine::carries() const {
  absl::MutexLock lock(&mu_);
  return carries_;
}
std::vector<absl::StatusCode> FakeEngine::outcomes() const {
  absl::MutexLock lock(&mu_);
  return outcomes_;
}

}  // namespace svi::worker
