// A trainer without a model: takes steps that a test releases, and writes a small file as its LoRA.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_TRAINER_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_TRAINER_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/agent/training_backend.h"

namespace svi::worker {

class FakeTrainer final : public TrainingBackend {
 public:
  explicit FakeTrainer(const std::filesystem::path& dir) : dir_(dir) {}

  std::string device() const override { return "cpu"; }
  std::string model_label() const override { return "fake"; }
  int rank() const override { return 0; }
  int ranks() const override { return 2; }
  // Takes spec.max_steps steps, from where the run was stopped if it was.
  absl::StatusOr<TrainedRun> Train(const std::string& run_id, const v1::TrainingSpec& spec,
                                   const TrainHooks& hooks) override;
  void Forget(const std::string& run_id) override;
  void Follow(const std::function<bool()>&) override {}

  // From now on runs wait before step `step`, until that is another; -1: never. One that waits goes on.
  void StopBefore(int step);
  void WaitStopped();
  void Proceed();
  // The run that waits, or else the next, ends with this.
  void FailNext(absl::Status status);
  // Its LoRA has so many bytes; 0: there is none, as with objective FULL.
  void set_lora_bytes(size_t size) { lora_bytes_ = size; }
  std::filesystem::path lora_path(const std::string& run_id) const {
    return dir_ / (run_id + ".safetensors");
  }
  // Waits until this run has been forgotten.
  void WaitForgotten(const std::string& run_id);

  std::vector<std::string> forgotten() const;
  // At which step each run so far began.
  std::vector<uint32_t> starts() const;
  // How each ended.
  std::vector<absl::StatusCode> outcomes() const;

 private:
  absl::StatusOr<TrainedRun> Steps(const std::string& run_id, const v1::TrainingSpec& spec,
                                   const TrainHooks& hooks);
  bool Stopped() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ && stopped_at_ == stop_before_; }
  bool MayRun() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_at_ != stop_before_; }

  const std::filesystem::path dir_;
  size_t lora_bytes_ = 100;
  mutable absl::Mutex mu_;
  int stop_before_ ABSL_GUARDED_BY(mu_) = -1;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  int stopped_at_ ABSL_GUARDED_BY(mu_) = -1;
  absl::Status fail_next_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint32_t> checkpoints_ ABSL_GUARDED_BY(mu_);  // step by run
  std::vector<std::string> forgotten_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> starts_ ABSL_GUARDED_BY(mu_);
  std::vector<absl::StatusCode> outcomes_ ABSL_GUARDED_BY(mu_);
};

// What the file of a run's LoRA holds.
std::string FakeLora(const std::string& run_id, size_t size);

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_FAKE_TRAINER_H_
