#include "worker/training.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <utility>

#include "absl/time/clock.h"
#include "engine/trainer.h"
#include "svi/v1/worker_service.pb.h"
#include "worker/commands.h"
#include "worker/data/dataset.h"
#include "worker/train_options.h"
#include "worker/training_metrics.h"

namespace svi::worker {
namespace {

namespace fs = std::filesystem;

// After a run was told to stop, how long this rank waits for the others to end their step. A rank that died
// takes the whole job with it long before: mpirun sees to that.
constexpr absl::Duration kPatience = absl::Minutes(2);

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 128 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
         });
}

// Several ranks can only go on together: this one ends, and mpirun ends the others.
bool RanksAreApart(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status);
}

class EngineBackend : public TrainingBackend {
 public:
  EngineBackend(TrainingBackendOptions options) : options_(std::move(options)) {
    if (options_.registry != nullptr) metrics_ = std::make_unique<TrainingMetrics>(*options_.registry);
  }

  ~EngineBackend() override {
    if (trainer_ == nullptr || broken_) return;
    if (ranks() > 1 && rank() == 0) trainer_->Broadcast("").IgnoreError();
    trainer_->Finish();
  }

  absl::Status Start() {
    std::error_code error;
    fs::create_directories(RunsDir(), error);
    if (error) return absl::FailedPreconditionError("--train-dir: the folder cannot be made");
    engine::TrainerOptions trainer;
    trainer.give_up_waiting = [this] { return GiveUpWaiting(); };
    absl::StatusOr<std::unique_ptr<engine::Trainer>> loaded = engine::Trainer::Load(options_.engine, trainer);
    if (!loaded.ok()) return loaded.status();
    trainer_ = *std::move(loaded);
    return absl::OkStatus();
  }

  std::string device() const override { return trainer_->info().device; }
  std::string model_label() const override { return trainer_->info().model_label; }
  int rank() const override { return trainer_->rank(); }
  int ranks() const override { return trainer_->ranks(); }

  absl::StatusOr<TrainedRun> Train(const std::string& run_id, const v1::TrainingSpec& spec,
                                   const TrainHooks& hooks) override {
    if (broken_)
      return absl::UnavailableError("the trainer's ranks have lost each other; it has to be started again");
    absl::StatusOr<engine::TrainOptions> options = ToTrainOptions(spec);
    if (!options.ok()) return options.status();
    absl::StatusOr<std::unique_ptr<engine::VideoSource>> videos = Open(spec.dataset());
    if (!videos.ok()) return videos.status();
    absl::StatusOr<std::string> folder = RunDir(run_id);
    if (!folder.ok()) return folder.status();
    if (ranks() > 1) {
      v1::AssignRun order;
      order.mutable_lease()->set_training_run(run_id);
      *order.mutable_spec() = spec;
      if (absl::Status sent = trainer_->Broadcast(order.SerializeAsString()).status(); !sent.ok())
        return Broken(sent);
    }
    absl::StatusOr<engine::TrainResult> result = Run(*options, *folder, **videos, hooks);
    if (!result.ok()) return RanksAreApart(result.status()) ? Broken(result.status()) : result.status();
    if (!result->model_path.empty()) spdlog::info("the trained model is in {}", result->model_path);
    return TrainedRun{result->lora_path, static_cast<uint32_t>(options->lora.rank)};
  }

  void Forget(const std::string& run_id) override {
    const absl::StatusOr<std::string> folder = RunDir(run_id);
    if (!folder.ok()) return;
    std::error_code ignored;
    fs::remove_all(fs::path(*folder) / "checkpoints", ignored);
  }

  void Follow(const std::function<bool()>& stop) override {
    TrainHooks hooks;
    hooks.stop = stop;
    while (true) {
      const absl::StatusOr<std::string> text = trainer_->Broadcast("");
      if (!text.ok()) End(text.status());
      if (text->empty()) return;
      v1::AssignRun order;
      order.ParseFromString(*text);
      const absl::StatusOr<engine::TrainOptions> options = ToTrainOptions(order.spec());
      if (!options.ok()) End(options.status());
      const absl::StatusOr<std::unique_ptr<engine::VideoSource>> videos = Open(order.spec().dataset());
      if (!videos.ok()) End(videos.status());
      const absl::StatusOr<std::string> folder = RunDir(order.lease().training_run());
      if (!folder.ok()) End(folder.status());
      const absl::Status status = Run(*options, *folder, **videos, hooks).status();
      if (RanksAreApart(status)) End(status);
    }
  }

 private:
  fs::path RunsDir() const { return fs::path(options_.train_dir) / "runs"; }

  absl::StatusOr<std::string> RunDir(const std::string& run_id) const {
    if (!IsPlainName(run_id))
      return absl::InvalidArgumentError("the run's name must be 1..128 of [A-Za-z0-9._-]");
    return (RunsDir() / run_id).string();
  }

  // With --train-data a client reaches nothing outside of that folder.
  absl::StatusOr<std::unique_ptr<engine::VideoSource>> Open(const std::string& dataset) const {
    const fs::path path(dataset);
    if (options_.train_data.empty()) return data::OpenDataset(dataset);
    const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
    if (path.is_absolute() || climbs) {
      return absl::InvalidArgumentError(
          "dataset must be relative to the worker's data folder and stay in it");
    }
    return data::OpenDataset((fs::path(options_.train_data) / path).string());
  }

  absl::StatusOr<engine::TrainResult> Run(const engine::TrainOptions& options, const std::string& folder,
                                          engine::VideoSource& videos, const TrainHooks& hooks) {
    std::optional<TrainingMetrics::Running> running;
    if (metrics_) running.emplace(*metrics_);
    engine::TrainCallbacks callbacks;
    callbacks.stop = hooks.stop;
    callbacks.log = [](const std::string& line) { spdlog::info("{}", line); };
    callbacks.report = [&](const engine::TrainReport& report) {
      if (metrics_) metrics_->Report(report);
      hooks.progress(ToProgress(report));
    };
    stop_ = hooks.stop;
    asked_to_stop_at_ = absl::InfiniteFuture();
    warned_ = false;
    absl::StatusOr<engine::TrainResult> result =
        trainer_->Run(options, folder, (fs::path(options_.train_dir) / "cache").string(), videos, callbacks);
    stop_ = nullptr;
    return result;
  }

  // Asked again and again while this rank waits for others.
  bool GiveUpWaiting() {
    if (!stop_ || !stop_()) return false;
    const absl::Time now = absl::Now();
    if (asked_to_stop_at_ == absl::InfiniteFuture()) asked_to_stop_at_ = now;
    if (!warned_ && now - asked_to_stop_at_ > absl::Seconds(10)) {
      warned_ = true;
      spdlog::warn(
          "told to stop, and still waiting for the other ranks: if one of them has died, the newest "
          "checkpoint is what "
          "the run can be continued from");
    }
    return now - asked_to_stop_at_ > kPatience;
  }

  // This process is of no more use; the agent reports the failure and ends.
  absl::Status Broken(const absl::Status& why) {
    broken_ = true;
    spdlog::error("{}", std::string(why.message()));
    kill(getpid(), SIGTERM);  // raise() would reach this thread only, and the signal thread waits for it
    return why;
  }

  [[noreturn]] void End(const absl::Status& why) const {
    spdlog::error("rank {}: {}", rank(), std::string(why.message()));
    spdlog::shutdown();
    std::_Exit(kFailed);
  }

  const TrainingBackendOptions options_;
  std::unique_ptr<TrainingMetrics> metrics_;
  std::unique_ptr<engine::Trainer> trainer_;
  std::function<bool()> stop_;  // of the run under way
  absl::Time asked_to_stop_at_ = absl::InfiniteFuture();
  bool warned_ = false;
  bool broken_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TrainingBackend>> MakeTrainingBackend(const TrainingBackendOptions& options) {
  auto backend = std::make_unique<EngineBackend>(options);
  if (absl::Status status = backend->Start(); !status.ok()) return status;
  return backend;
}

}  // namespace svi::worker
