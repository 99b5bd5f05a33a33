// The trainer's facade: what it throws, as absl::Status.
#include "engine/trainer.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <filesystem>
#include <utility>

#include "worker/engine/as_status.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/nn/device.h"
#include "worker/engine/svi/defaults.h"
#include "worker/engine/train/collectives.h"
#include "worker/engine/train/training_run.h"

namespace svi::engine {
namespace {

// As AsStatus, but gradients are kept.
template <typename Work>
auto TrainingStatus(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const RunStopped& e) {
    return absl::CancelledError(e.what());
  } catch (const RankLost& e) {
    return absl::UnavailableError(e.what());
  } catch (const RankFailed& e) {
    return absl::AbortedError(e.what());
  } catch (const RunFailed& e) {
    return absl::InternalError(e.what());
  } catch (...) {
    return ToStatus(std::current_exception());
  }
}

class LoadedTrainer : public Trainer {
 public:
  LoadedTrainer(std::string model_dir, at::Device device, EngineInfo info, int64_t transformer_parameters,
                std::unique_ptr<Collectives> collectives)
      : model_dir_(std::move(model_dir)),
        device_(device),
        info_(std::move(info)),
        transformer_parameters_(transformer_parameters),
        collectives_(std::move(collectives)) {}

  const EngineInfo& info() const override { return info_; }
  int rank() const override { return collectives_->rank(); }
  int ranks() const override { return collectives_->size(); }

  absl::StatusOr<std::string> Broadcast(const std::string& text) override {
    return TrainingStatus([&]() -> absl::StatusOr<std::string> { return collectives_->Broadcast(text); });
  }

  absl::StatusOr<TrainResult> Run(const TrainOptions& options, const std::string& run_dir,
                                  const std::string& cache_dir, VideoSource& videos,
                                  const TrainCallbacks& callbacks) override {
    return TrainingStatus([&]() -> absl::StatusOr<TrainResult> {
      RunSite site;
      site.model_dir = model_dir_;
      site.run_dir = run_dir;
      site.cache_dir = cache_dir;
      site.device = device_;
      site.compute_dtype = device_.is_cuda() ? at::kBFloat16 : at::kFloat;
      site.model_parameters = transformer_parameters_;
      return TrainingRun(Resolved(options), site, videos, *collectives_, callbacks).Execute();
    });
  }

  void Finish() override { collectives_->Finish(); }

 private:
  // The model's own values where the options are silent.
  TrainOptions Resolved(TrainOptions options) const {
    const ModelDefaults& defaults = info_.defaults;
    const int side = static_cast<int>(std::sqrt(static_cast<double>(defaults.max_area))) /
                     defaults.size_multiple * defaults.size_multiple;
    if (options.width == 0) options.width = side;
    if (options.height == 0) options.height = side;
    if (options.num_frames == 0) options.num_frames = defaults.num_frames;
    if (options.flow_shift == 0) options.flow_shift = defaults.flow_shift;
    return options;
  }

  const std::string model_dir_;
  const at::Device device_;
  const EngineInfo info_;
  const int64_t transformer_parameters_;
  const std::unique_ptr<Collectives> collectives_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Load(const EngineOptions& options,
                                                       const TrainerOptions& trainer) {
  return TrainingStatus([&]() -> absl::StatusOr<std::unique_ptr<Trainer>> {
    if (options.num_threads < 0 || options.num_threads > 1024) {
      return absl::InvalidArgumentError("threads must be from 0 to 1024");
    }
    if (options.num_threads > 0) at::set_num_threads(options.num_threads);
    // Ranks on one machine take one GPU each.
    const std::string name = options.device == "auto" && CudaDeviceCount() > 0
                                 ? "cuda:" + std::to_string(LocalRank())
                                 : options.device;
    const at::Device device = SelectDevice(name);
    PrepareDevice(device);
    if (!std::filesystem::is_directory(options.model_dir))
      throw MissingFile("the model folder does not exist");
    // Built once, so that what is wrong with the model is found now and not by the first run.
    const auto parameters = static_cast<int64_t>(LoadTransformer(options.model_dir, {}).parameters);
    const SviConfig config =
        SviConfig::FromJson(ReadOptionalText(options.model_dir, "svi_config.json"),
                            ReadOptionalText(options.model_dir, "scheduler/scheduler_config.json"));
    EngineInfo info;
    info.device = DeviceName(device);
    info.model_label = config.name.empty() ? FolderName(options.model_dir) : config.name;
    info.parameters = static_cast<uint64_t>(parameters);
    info.defaults = config.defaults;
    CollectiveOptions collective;
    // Ranks encode shares of a data set that differ by hours; one that dies is noticed through mpirun.
    collective.timeout = absl::Hours(24);
    collective.stop = trainer.give_up_waiting;
    return std::make_unique<LoadedTrainer>(options.model_dir, device, std::move(info), parameters,
                                           MakeCollectives(device, collective));
  });
}

}  // namespace svi::engine
