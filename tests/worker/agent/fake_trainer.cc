#include "tests/worker/agent/fake_trainer.h"

#include <algorithm>
#include <fstream>
#include <utility>

namespace svi::worker {

std::string FakeLora(const std::string& run_id, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 37 + i / 253 + run_id.size()) & 255);
  return bytes;
}

absl::StatusOr<TrainedRun> FakeTrainer::Train(const std::string& run_id, const v1::TrainingSpec& spec,
                                              const TrainHooks& hooks) {
  auto result = Steps(run_id, spec, hooks);
  absl::MutexLock lock(&mu_);
  outcomes_.push_back(result.status().code());
  return result;
}

absl::StatusOr<TrainedRun> FakeTrainer::Steps(const std::string& run_id, const v1::TrainingSpec& spec,
                                              const TrainHooks& hooks) {
  uint32_t step = 0;
  {
    absl::MutexLock lock(&mu_);
    if (const auto checkpoint = checkpoints_.find(run_id); checkpoint != checkpoints_.end()) {
      step = checkpoint->second;
    }
    starts_.push_back(step);
  }
  for (; step < spec.max_steps(); ++step) {
    {
      absl::MutexLock lock(&mu_);
      if (static_cast<int>(step) == stop_before_) {
        stopped_ = true;
        stopped_at_ = stop_before_;
        mu_.Await(absl::Condition(this, &FakeTrainer::MayRun));
        stopped_ = false;
      }
      if (!fail_next_.ok()) return std::exchange(fail_next_, absl::OkStatus());
    }
    if (hooks.stop()) {
      absl::MutexLock lock(&mu_);
      checkpoints_[run_id] = step;
      return absl::CancelledError("stopped with a checkpoint");
    }
    v1::TrainingProgress progress;
    progress.set_step(step + 1);
    progress.set_max_steps(spec.max_steps());
    progress.set_loss(1.0 / (step + 1));
    hooks.progress(progress);
  }
  if (lora_bytes_ == 0) return TrainedRun{};
  std::ofstream(lora_path(run_id), std::ios::binary) << FakeLora(run_id, lora_bytes_);
  return TrainedRun{lora_path(run_id).string(), 16};
}

void FakeTrainer::Forget(const std::string& run_id) {
  absl::MutexLock lock(&mu_);
  checkpoints_.erase(run_id);
  forgotten_.push_back(run_id);
}

void FakeTrainer::StopBefore(int step) {
  absl::MutexLock lock(&mu_);
  stop_before_ = step;
}

void FakeTrainer::WaitStopped() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &FakeTrainer::Stopped));
}

void FakeTrainer::Proceed() { StopBefore(-1); }

void FakeTrainer::FailNext(absl::Status status) {
  absl::MutexLock lock(&mu_);
  fail_next_ = std::move(status);
}

void FakeTrainer::WaitForgotten(const std::string& run_id) {
  const auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return std::find(forgotten_.begin(), forgotten_.end(), run_id) != forgotten_.end();
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&done));
}

std::vector<std::string> FakeTrainer::forgotten() const {
  absl::MutexLock lock(&mu_);
  return forgotten_;
}
std::vector<uint32_t> FakeTrainer::starts() const {
  absl::MutexLock lock(&mu_);
  return starts_;
}
std::vector<absl::StatusCode> FakeTrainer::outcomes() const {
  absl::MutexLock lock(&mu_);
  return outcomes_;
}

}  // namespace svi::worker
