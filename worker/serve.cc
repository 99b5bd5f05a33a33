// The default command: a worker of an svi-server.
#include <prometheus/exposer.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <exception>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "client/log.h"
#include "engine/engine.h"
#include "worker/agent/agent.h"
#include "worker/agent/worker_metrics.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"

namespace svi::worker {
namespace {

struct ServeFlags {
  std::string server = "127.0.0.1:50051";
  std::string metrics_listen = "127.0.0.1:9465";
  std::string mode = "inference";
  std::string log_level = "info";
  std::string log_format = "text";
  std::string worker_id;
  absl::Duration drain_timeout = absl::Seconds(120);
  engine::EngineOptions engine;
};

void AddFlags(FlagParser& parser, ServeFlags* flags) {
  AddEngineFlags(parser, &flags->engine);
  parser.AddString("server", &flags->server, "HOST:PORT of svi-server");
  parser.AddString("mode", &flags->mode, "inference");
  parser.AddString("metrics-listen", &flags->metrics_listen, "HOST:PORT of /metrics; empty: none");
  parser.AddString("worker-id", &flags->worker_id,
                   "1..64 of [a-z0-9-]; empty: from the host's name, and random");
  parser.AddDuration("drain-timeout", &flags->drain_timeout,
                     "how long a clip may take to finish after SIGTERM before it is handed back");
  parser.AddString("log-level", &flags->log_level, "trace, debug, info, warn or error");
  parser.AddString("log-format", &flags->log_format, "text or json");
}

bool IsWorkerId(const std::string& id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// The host's name says where it runs, the random end makes it this process.
std::string NewWorkerId() {
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  std::string id;
  for (const char* c = host; *c && *c != '.' && id.size() < 40; ++c) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
    id += IsWorkerId(std::string(1, lower)) ? lower : '-';
  }
  return absl::StrCat(id.empty() ? "worker" : id, "-", absl::StrFormat("%08x", std::random_device{}()));
}

absl::Status Check(const ServeFlags& flags) {
  if (flags.mode != "inference") {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode: \"", flags.mode, "\" is not known; there is inference"));
  }
  if (flags.engine.model_dir.empty()) return absl::InvalidArgumentError("--model is required");
  if (flags.server.empty()) return absl::InvalidArgumentError("--server is required");
  if (flags.engine.num_threads < 0) return absl::InvalidArgumentError("--threads: must not be negative");
  if (flags.drain_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--drain-timeout: must not be negative");
  }
  if (!flags.worker_id.empty() && !IsWorkerId(flags.worker_id)) {
    return absl::InvalidArgumentError("--worker-id: must be 1..64 characters of [a-z0-9-]");
  }
  return absl::OkStatus();
}

// Waits for SIGTERM and SIGINT on a thread of its own: the first drains, the second hands back. Before there
// is an agent, either ends the process, since nothing is held yet.
class SignalThread {
 public:
  SignalThread() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // inherited by every later thread
    thread_ = std::thread([this] { Run(); });
  }
  ~SignalThread() {
    stop_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  void SetAgent(Agent* agent) {
    absl::MutexLock lock(&mu_);
    agent_ = agent;
  }

 private:
  void Run() {
    for (bool first = true;; first = false) {
      int signal = 0;
      sigwait(&signals_, &signal);
      if (stop_) return;
      absl::MutexLock lock(&mu_);
      if (!agent_) std::_Exit(kOk);
      first ? agent_->Drain() : agent_->HandBack();
    }
  }

  sigset_t signals_;
  std::atomic<bool> stop_ = false;
  absl::Mutex mu_;
  Agent* agent_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

int RunWorker(const ServeFlags& flags) {
  SignalThread signals;
  spdlog::info("loading the model");
  absl::StatusOr<std::unique_ptr<engine::Engine>> engine = engine::Engine::Load(flags.engine);
  if (!engine.ok()) {
    spdlog::error("{}", std::string(engine.status().message()));
    return kFailed;
  }
  const engine::EngineInfo& info = (*engine)->info();
  spdlog::info("model {}: {} parameters on {}", info.model_label, info.parameters, info.device);
  for (const std::string& warning : info.warnings) spdlog::warn("{}", warning);
  if (!flags.engine.lora_dir.empty()) {
    const engine::LoraFolder loras = (*engine)->ScanLoras();
    spdlog::info("LoRA folder: {} usable, {} refused", loras.loras.size(), loras.refused.size());
  }
  WorkerMetrics metrics(info, Version());
  std::unique_ptr<prometheus::Exposer> exposer;
  if (!flags.metrics_listen.empty()) {
    try {
      exposer = std::make_unique<prometheus::Exposer>(flags.metrics_listen);
    } catch (const std::exception&) {
      spdlog::error("--metrics-listen: cannot listen on {}", flags.metrics_listen);
      return kFailed;
    }
    exposer->RegisterCollectable(metrics.registry());
  }
  AgentOptions options;
  options.server = flags.server;
  options.worker_id = flags.worker_id.empty() ? NewWorkerId() : flags.worker_id;
  options.version = Version();
  options.drain_timeout = flags.drain_timeout;
  Agent agent(engine->get(), &metrics, options);
  signals.SetAgent(&agent);
  agent.Run();
  if (agent.engine_busy()) {
    // The clip is handed back; its current step may take minutes, and nobody waits for it.
    spdlog::shutdown();
    std::_Exit(kOk);
  }
  signals.SetAgent(nullptr);
  return kOk;
}

}  // namespace

int Serve(const std::vector<std::string>& args) {
  ServeFlags flags;
  FlagParser parser("svi-worker --model=DIR [flags]\n\nMakes the clips of an svi-server's videos.");
  AddFlags(parser, &flags);
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("unknown argument \"" + positional[0] + "\"");
  if (absl::Status status = Check(flags); !status.ok()) return Fail(status);
  if (absl::Status status = SetUpLog("svi-worker", flags.log_level, flags.log_format); !status.ok())
    return Fail(status);
  return RunWorker(flags);
}

}  // namespace svi::worker
