// A training run offline: the same specification, trainer and folders as under a server.
#include <prometheus/exposer.h>
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/log.h"
#include "client/training_flags.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"
#include "worker/signal_thread.h"
#include "worker/train_options.h"
#include "worker/training.h"

namespace svi::worker {
namespace {

namespace fs = std::filesystem;

struct TrainFlags {
  std::string config;
  std::string metrics_listen;
  std::string publish_dir;
  std::string log_level = "info";
  std::string log_format = "text";
  TrainingBackendOptions backend;
};

absl::StatusOr<v1::TrainingSpec> ReadSpec(const std::string& path) {
  absl::StatusOr<v1::TrainingSpec> spec = ReadTrainingSpec(path);
  if (!spec.ok()) return spec;
  if (const absl::Status status = ToTrainOptions(*spec).status(); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--config: ", status.message()));
  }
  return spec;
}

// Steps, and what goes on before them, that at most every few seconds.
class ProgressLog {
 public:
  void operator()(const v1::TrainingProgress& p) {
    if (p.phase().empty()) {
      LogStep(p);
    } else if (absl::Now() - last_phase_ > absl::Seconds(5)) {
      spdlog::info("{}", p.phase());
      last_phase_ = absl::Now();
    }
  }

 private:
  static void LogStep(const v1::TrainingProgress& p);
  absl::Time last_phase_ = absl::InfinitePast();
};

void ProgressLog::LogStep(const v1::TrainingProgress& p) {
  const std::string eta = p.has_eta() ? absl::StrFormat(", %d s left", p.eta().seconds()) : "";
  spdlog::info("{}", absl::StrFormat(
                         "step %d of %d: loss %.5f, learning rate %.3g, gradient norm %.4g, %.2f samples/s, "
                         "%d errors banked%s",
                         p.step(), p.max_steps(), p.loss(), p.learning_rate(), p.gradient_norm(),
                         p.samples_per_second(), p.latent_bank_entries() + p.noise_bank_entries(), eta));
}

// As a worker's LoRA folder wants it: renamed into place, whole.
absl::Status Publish(const std::string& file, const fs::path& dir, const std::string& name) {
  std::error_code error;
  fs::create_directories(dir, error);
  const fs::path part = dir / absl::StrCat(".", name, ".part");
  if (!error) fs::copy_file(file, part, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(part, dir / absl::StrCat(name, ".safetensors"), error);
  if (error)
    return absl::InternalError(absl::StrCat("--lora-dir: the LoRA cannot be written: ", error.message()));
  return absl::OkStatus();
}

int RunOffline(const TrainFlags& flags, const v1::TrainingSpec& spec) {
  SignalThread signals;
  std::atomic<bool> stopped = false;
  signals.SetHandler([&stopped](bool again) {
    if (again) std::_Exit(kFailed);
    stopped = true;
    spdlog::info("stopping after this step");
  });
  const auto stop = [&stopped] { return stopped.load(); };
  auto registry = std::make_shared<prometheus::Registry>();
  TrainingBackendOptions options = flags.backend;
  options.registry = registry.get();
  absl::StatusOr<std::unique_ptr<TrainingBackend>> backend = MakeTrainingBackend(options);
  if (!backend.ok()) {
    spdlog::error("{}", std::string(backend.status().message()));
    return kFailed;
  }
  if ((*backend)->rank() > 0) {
    (*backend)->Follow(stop);
    return kOk;
  }
  std::unique_ptr<prometheus::Exposer> exposer;
  if (!flags.metrics_listen.empty()) {
    try {
      exposer = std::make_unique<prometheus::Exposer>(flags.metrics_listen);
    } catch (const std::exception&) {
      spdlog::error("--metrics-listen: cannot listen on {}", flags.metrics_listen);
      return kFailed;
    }
    exposer->RegisterCollectable(registry);
  }
  const std::string name =
      spec.lora_name().empty() ? fs::path(flags.config).stem().string() : spec.lora_name();
  TrainHooks hooks;
  hooks.stop = stop;
  hooks.progress = ProgressLog();
  const absl::StatusOr<TrainedRun> trained = (*backend)->Train(name, spec, hooks);
  if (!trained.ok()) {
    spdlog::error("{}", std::string(trained.status().message()));
    return kFailed;
  }
  if (trained->lora_path.empty()) {
    std::printf("%s\n", (fs::path(flags.backend.train_dir) / "runs" / name / "model").c_str());
    return kOk;
  }
  if (!flags.publish_dir.empty()) {
    if (absl::Status status = Publish(trained->lora_path, flags.publish_dir, name); !status.ok()) {
      spdlog::error("{}", std::string(status.message()));
      return kFailed;
    }
  }
  std::printf("%s\n", trained->lora_path.c_str());
  return kOk;
}

}  // namespace

int Train(const std::vector<std::string>& args) {
  TrainFlags flags;
  FlagParser parser(
      "svi-worker train --config=FILE --model=DIR --train-dir=DIR [flags]\n\nTrains a LoRA, or a whole "
      "model, offline; "
      "goes on where an earlier run of this configuration stopped. Under mpirun, with all its processes "
      "together.");
  parser.AddString("config", &flags.config,
                   "the run as a svi.v1.TrainingSpec in protobuf's text format; required");
  parser.AddString("train-dir", &flags.backend.train_dir,
                   "work folder: encoded data sets, checkpoints and results; required");
  parser.AddString("train-data", &flags.backend.train_data, "where a relative data set is looked for");
  parser.AddString("lora-dir", &flags.publish_dir,
                   "where the LoRA is put when it is trained; empty: nowhere else");
  parser.AddString("metrics-listen", &flags.metrics_listen, "HOST:PORT of /metrics; empty: none");
  parser.AddString("model", &flags.backend.engine.model_dir,
                   "checkpoint folder, in Diffusers' layout or in Wan's own; required");
  parser.AddString("device", &flags.backend.engine.device, "auto, cpu, cuda or cuda:N");
  parser.AddInt("threads", &flags.backend.engine.num_threads,
                "threads of one operation on a CPU; 0: one a core");
  parser.AddString("log-level", &flags.log_level, "trace, debug, info, warn or error");
  parser.AddString("log-format", &flags.log_format, "text or json");
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("unknown argument \"" + positional[0] + "\"");
  if (flags.config.empty()) return UsageError("--config is required");
  if (flags.backend.engine.model_dir.empty()) return UsageError("--model is required");
  if (flags.backend.train_dir.empty()) return UsageError("--train-dir is required");
  absl::StatusOr<v1::TrainingSpec> spec = ReadSpec(flags.config);
  if (!spec.ok()) return Fail(spec.status());
  if (absl::Status status = SetUpLog("svi-worker", flags.log_level, flags.log_format); !status.ok())
    return Fail(status);
  return RunOffline(flags, *spec);
}

}  // namespace svi::worker
