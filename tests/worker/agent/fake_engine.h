// An engine without a model: makes small deterministic frames, and stops, fails or waits where a test tells
// it to.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_ENGINE_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "engine/engine.h"

namespace svi::worker {

// Clip size of the fake model.
inline constexpr int kSide = 32;

class FakeEngine : public engine::Engine {
 public:
  FakeEngine();

  const engine::EngineInfo& info() const override { return info_; }
  absl::StatusOr<engine::ClipResult> GenerateClip(const engine::ClipRequest& request,
                                                  const engine::Picture& picture, const std::string& carry,
                                                  const engine::ClipCallbacks& callbacks) override;
  engine::MemoryUse memory() const override {
    return {.resident_bytes = 1000, .device_bytes = 50, .lora_bytes = 7};
  }
  engine::LoraFolder ScanLoras() override;
  // What ScanLoras says from now on.
  void SetLoras(engine::LoraFolder loras);

  // From now on clips stop before denoising step `step` until Proceed; -1: never.
  void StopBefore(int step);
  void WaitStopped();
  // Until this many clips have ended, one way or the other.
  void WaitOutcomes(size_t count);
  // Lets the stopped clip, and later ones, run.
  void Proceed();
  // The clip that is stopped, or else the next, ends with this.
  void FailNext(absl::Status status);
  void set_carry_bytes(size_t size) { carry_bytes_ = size; }

  std::vector<engine::ClipRequest> requests() const;
  std::vector<std::string> carries() const;  // that clips were given
  std::vector<absl::StatusCode> outcomes() const;

 private:
  absl::StatusOr<engine::ClipResult> Generate(const engine::ClipRequest& request,
                                              const engine::Picture& picture,
                                              const engine::ClipCallbacks& callbacks);
  bool Stopped() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_; }
  bool MayRun() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stop_before_ < 0; }

  engine::EngineInfo info_;
  size_t carry_bytes_ = 100;
  mutable absl::Mutex mu_;
  int stop_before_ ABSL_GUARDED_BY(mu_) = -1;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status fail_next_ ABSL_GUARDED_BY(mu_);
  engine::LoraFolder loras_ ABSL_GUARDED_BY(mu_);
  std::vector<engine::ClipRequest> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> carries_ ABSL_GUARDED_BY(mu_);
  std::vector<absl::StatusCode> outcomes_ ABSL_GUARDED_BY(mu_);
};

// What FakeEngine::GenerateClip leaves for the clip after `clip_index`.
std::string FakeCarry(int clip_index, size_t size);

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_FAKE_ENGINE_H_
