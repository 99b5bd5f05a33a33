#include "worker/serve_flags.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/commands.h"
#include "worker/engine_flags.h"

namespace svi::worker {
namespace {

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

}  // namespace

void ServeFlags::AddTo(FlagParser& parser) {
  AddEngineFlags(parser, &engine);
  AddEndpointFlags(&parser, &endpoint);
  parser.AddString("mode", &mode, "inference: make clips; training: train LoRAs");
  parser.AddString("metrics-listen", &metrics_listen, "HOST:PORT of /metrics; empty: none");
  parser.AddString("worker-id", &worker_id, "1..64 of [a-z0-9-]; empty: from the host's name, and random");
  parser.AddDuration(
      "drain-timeout", &drain_timeout,
      "after SIGTERM, how long a clip may take to finish, or a training step and its checkpoint, "
      "before the lease is handed back");
  parser.AddString(
      "health-listen", &health_listen,
      "inference: HOST:PORT of grpc.health.v1: \"\" while it takes work, \"live\" until its engine "
      "hangs; empty: none");
  parser.AddDuration(
      "engine-timeout", &engine_timeout,
      "inference: the engine hangs if a clip makes no step for this long: the clip goes back, and "
      "the worker ends with an error; 0: 15m on a GPU, never on a CPU, whose steps may take hours");
  parser.AddString("lora-cache", &lora_cache,
                   "inference: folder that published LoRAs are fetched into, of this worker alone; empty: a "
                   "temporary one");
  parser.AddUint(
      "lora-cache-gb", &lora_cache_gb,
      "inference: how large that folder may grow before what was used longest ago goes, 1..1000000");
  parser.AddString("train-dir", &train_dir,
                   "training: folder of caches and checkpoints, made if need be; required in that mode");
  parser.AddString("train-data", &train_data, "training: folder that relative data sets are looked for in");
  parser.AddString("log-level", &log_level, "trace, debug, info, warn or error");
  parser.AddString("log-format", &log_format, "text or json");
}

absl::Status ServeFlags::Check() const {
  if (mode != "inference" && mode != "training") {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode: \"", mode, "\" is not known; there are inference and training"));
  }
  if (engine.model_dir.empty()) return absl::InvalidArgumentError("--model is required");
  if (endpoint.server.empty()) return absl::InvalidArgumentError("--server is required");
  if (auto status = CheckEndpoint(endpoint); !status.ok()) return status;
  if (engine.num_threads < 0) return absl::InvalidArgumentError("--threads: must not be negative");
  if (drain_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--drain-timeout: must not be negative");
  }
  if (engine_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--engine-timeout: must not be negative");
  }
  if (!worker_id.empty() && !IsWorkerId(worker_id)) {
    return absl::InvalidArgumentError("--worker-id: must be 1..64 characters of [a-z0-9-]");
  }
  if (lora_cache_gb < 1 || lora_cache_gb > 1'000'000) {
    return absl::InvalidArgumentError(
        absl::StrCat("--lora-cache-gb: must be 1..1000000, is ", lora_cache_gb));
  }
  const bool training = mode == "training";
  if (training && train_dir.empty()) {
    return absl::InvalidArgumentError("--train-dir is required with --mode=training");
  }
  if (!training && (!train_dir.empty() || !train_data.empty())) {
    return absl::InvalidArgumentError("--train-dir and --train-data are for --mode=training");
  }
  if (training && (!engine.lora_dir.empty() || !lora_cache.empty())) {
    return absl::InvalidArgumentError("--lora-dir and --lora-cache are for --mode=inference");
  }
  return absl::OkStatus();
}

ConnectionOptions ServeFlags::Connection() const {
  ConnectionOptions options;
  options.endpoint = endpoint;
  options.worker_id = worker_id.empty() ? NewWorkerId() : worker_id;
  options.version = Version();
  options.drain_timeout = drain_timeout;
  return options;
}

absl::StatusOr<std::unique_ptr<prometheus::Exposer>> ServeFlags::ServeMetrics(
    const std::shared_ptr<prometheus::Registry>& registry) const {
  if (metrics_listen.empty()) return nullptr;
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(metrics_listen);
    exposer->RegisterCollectable(registry);
    return exposer;
  } catch (const std::exception&) {
    return absl::InternalError(absl::StrCat("--metrics-listen: cannot listen on ", metrics_listen));
  }
}

absl::StatusOr<std::unique_ptr<WorkerHealth>> ServeFlags::ServeHealth() const {
  if (health_listen.empty()) return nullptr;
  auto health = WorkerHealth::Listen(health_listen);
  if (health.ok()) spdlog::info("health on port {}", (*health)->port());
  return health;
}

}  // namespace svi::worker
