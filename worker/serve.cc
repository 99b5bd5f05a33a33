// The default command: a worker of an svi-server.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "client/log.h"
#include "engine/engine.h"
#include "worker/agent/agent.h"
#include "worker/agent/lora_cache.h"
#include "worker/agent/worker_metrics.h"
#include "worker/commands.h"
#include "worker/serve_flags.h"
#include "worker/signal_thread.h"

namespace svi::worker {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;
// A step of the largest clip takes seconds; what comes from a slow disk first may take minutes.
constexpr absl::Duration kGpuPatience = absl::Minutes(15);

// How long a worker whose engine hangs may take to give its clip back.
constexpr unsigned kLastSeconds = 15;

// The engine's thread may hold what everybody needs, such as the allocator's lock: then nothing else works
// either, and the process ends all the same.
void EndInAnyCase() {
  std::signal(SIGALRM, [](int) { _exit(kFailed); });
  alarm(kLastSeconds);
}

int Failed(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return kFailed;
}

void LogEngine(engine::Engine& engine, const engine::EngineOptions& options) {
  const engine::EngineInfo& info = engine.info();
  spdlog::info("model {}: {} parameters on {}", info.model_label, info.parameters, info.device);
  for (const std::string& warning : info.warnings) spdlog::warn("{}", warning);
  if (options.lora_dir.empty()) return;
  const engine::LoraFolder loras = engine.ScanLoras();
  spdlog::info("LoRA folder: {} usable, {} refused", loras.loras.size(), loras.refused.size());
}

int ServeInference(const ServeFlags& flags, SignalThread& signals) {
  absl::StatusOr<std::unique_ptr<LoraCache>> loras =
      LoraCache::Open(flags.lora_cache, flags.lora_cache_gb * kGigabyte);
  if (!loras.ok()) return Failed(loras.status());
  engine::EngineOptions engine_options = flags.engine;
  engine_options.lora_cache_dir = (*loras)->dir();
  spdlog::info("loading the model");
  absl::StatusOr<std::unique_ptr<engine::Engine>> engine = engine::Engine::Load(engine_options);
  if (!engine.ok()) return Failed(engine.status());
  LogEngine(**engine, engine_options);
  WorkerMetrics metrics((*engine)->info(), Version());
  auto exposer = flags.ServeMetrics(metrics.registry());
  if (!exposer.ok()) return Failed(exposer.status());
  absl::StatusOr<std::unique_ptr<WorkerHealth>> health = flags.ServeHealth();
  if (!health.ok()) return Failed(health.status());
  AgentOptions options{flags.Connection()};
  options.engine_patience = flags.engine_timeout;
  if (flags.engine_timeout == absl::ZeroDuration()) {
    options.engine_patience = (*engine)->info().device == "cpu" ? absl::InfiniteDuration() : kGpuPatience;
  }
  if (*health != nullptr) options.on_ready = [&health](bool ready) { (*health)->SetReady(ready); };
  options.on_stuck = [&health] {
    EndInAnyCase();
    if (*health != nullptr) (*health)->SetDead();
  };
  Agent agent(engine->get(), &metrics, loras->get(), options);
  signals.SetHandler([&agent](bool again) { again ? agent.HandBack() : agent.Drain(); });
  agent.Run();
  signals.SetHandler([](bool) {});
  if (agent.engine_busy()) {
    // The clip is handed back; its current step may take minutes, or for ever, and nobody waits for it.
    (*loras)->RemoveTemporary();
    spdlog::shutdown();
    std::_Exit(agent.engine_stuck() ? kFailed : kOk);
  }
  return kOk;
}

}  // namespace

int Serve(const std::vector<std::string>& args) {
  ServeFlags flags;
  FlagParser parser(
      "svi-worker --model=DIR [flags]\n\nMakes the clips of an svi-server's videos, or trains its LoRAs.");
  flags.AddTo(parser);
  parser.ReadEnvironment("SVI_WORKER");
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("unknown argument \"" + positional[0] + "\"");
  if (absl::Status status = flags.Check(); !status.ok()) return Fail(status);
  if (absl::Status status = SetUpLog("svi-worker", flags.log_level, flags.log_format); !status.ok())
    return Fail(status);
  SignalThread signals;
  return flags.mode == "training" ? ServeTraining(flags, signals) : ServeInference(flags, signals);
}

}  // namespace svi::worker
