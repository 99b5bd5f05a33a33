#include "server/server.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/endpoint.h"
#include "client/steady.h"
#include "server/auth/call_gate.h"
#include "server/auth/open_streams.h"
#include "server/auth/tls.h"
#include "server/lease/dispatcher.h"
#include "server/metrics/rpc_metrics.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/postgres_stores.h"
#include "server/queue/sqlite_stores.h"
#include "server/queue/tenant_table.h"
#include "server/rpc/join_cache.h"
#include "server/rpc/training_service.h"
#include "server/rpc/video_service.h"
#include "server/scale/external_scaler.h"
#include "server/server_id.h"
#include "server/stream/event_hub.h"
#include "server/stream/peer_relay.h"
#include "server/stream/postgres_peers.h"

namespace svi::server {
namespace {

// A picture of 32 MiB and what comes with it; a larger picture is refused by its name, up to here.
constexpr int kMaxReceiveBytes = 40 << 20;
// Buffers of all calls together.
constexpr size_t kMemoryQuota = size_t{1} << 30;
// How long calls that are under way may take to end when the server stops.
constexpr auto kEndCalls = std::chrono::seconds(2);

constexpr const char* kServices[] = {"", "svi.v1.VideoService", "svi.v1.TrainingService",
                                     "svi.v1.WorkerService"};

// Held for as long as the object lives; the kernel lets go of it if the process dies.
class FolderLock {
 public:
  static absl::StatusOr<std::unique_ptr<FolderLock>> Take(const std::string& dir) {
    const std::string path = dir + "/server.lock";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return absl::UnavailableError(absl::StrCat("--data-dir: cannot write in ", dir));
    auto lock = std::unique_ptr<FolderLock>(new FolderLock(fd));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("--data-dir: ", dir, " is in use by another svi-server; give each server its own"));
    }
    return lock;
  }
  ~FolderLock() { close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  const int fd_;
};

std::string WithPort(const std::string& address, int port) {
  const size_t colon = address.rfind(':');
  return absl::StrCat(address.substr(0, colon), ":", port);
}

absl::Status CheckAddress(const char* flag, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0 && colon + 1 < address.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(flag, ": must be HOST:PORT, is \"", address, "\""));
}

// Plain text is for this machine, unless it was asked for.
absl::Status CheckOpen(const char* flag, const std::string& address, const ServerOptions& options) {
  if (!options.tls_cert.empty() || options.allow_plaintext || IsLoopback(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(flag, ": other machines can connect to ", address,
                                                 ": give it TLS (--tls-cert), or say --allow-plaintext"));
}

absl::Status Check(const ServerOptions& options) {
  if (options.data_dir.empty()) return absl::InvalidArgumentError("--data-dir: is required");
  if (auto status = CheckAddress("--listen", options.listen); !status.ok()) return status;
  if (auto status = CheckAddress("--metrics-listen", options.metrics_listen); !status.ok()) return status;
  if (options.heartbeat_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--heartbeat-interval: must be more than 0");
  }
  if (options.lease_timeout <= options.heartbeat_interval) {
    return absl::InvalidArgumentError("--lease-timeout: must be longer than --heartbeat-interval");
  }
  if (options.max_attempts < 1) return absl::InvalidArgumentError("--max-attempts: must be at least 1");
  if (auto status = CheckOpen("--listen", options.listen, options); !status.ok()) return status;
  if (!options.scaler_listen.empty()) {
    if (auto status = CheckAddress("--scaler-listen", options.scaler_listen); !status.ok()) return status;
    if (auto status = CheckOpen("--scaler-listen", options.scaler_listen, options); !status.ok())
      return status;
  }
  if (!(options.rate_limit >= 0)) return absl::InvalidArgumentError("--rate-limit: must not be negative");
  if (!(options.rate_burst >= 1)) return absl::InvalidArgumentError("--rate-burst: must be at least 1");
  if (options.database_connections < 2 || options.database_connections > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat("--database-connections: must be 2..1000, is ", options.database_connections));
  }
  if (options.shutdown_grace < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--shutdown-grace: must not be negative");
  }
  return MakeSweeperOptions(options.storage).status();
}

absl::Status WithFlag(const char* flag, const absl::Status& status) {
  return {status.code(), absl::StrCat(flag, ": ", status.message())};
}

// Often enough that one beat may be lost before the others think this server gone.
absl::Duration PeerHeartbeat(const ServerOptions& options) {
  return std::min<absl::Duration>(absl::Seconds(2), options.lease_timeout / 5);
}

void SetChannelLimits(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // That limit is one of the size on the wire: a few compressed kilobytes could become gigabytes.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder->SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder->SetResourceQuota(grpc::ResourceQuota("svi-server").Resize(kMemoryQuota));
  // Two servers on one port would take turns at random.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients may ping every 10 s, also between calls; a little less, for clocks and queues.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 9000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
}

// Linking gRPC's reflection library is enough to switch it on for every server of the process; this takes it
// out again.
class NoReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name().find("reflection") != std::string::npos; });
  }
};

class ServerImpl : public Server {
 public:
  explicit ServerImpl(const ServerOptions& options)
      : options_(options),
        hub_([this](size_t count) { metrics_.EventsDropped(count); },
             [this](int delta) { metrics_.WatchersChanged(delta); }),
        training_hub_([this](size_t count) { metrics_.EventsDropped(count); },
                      [this](int delta) { metrics_.WatchersChanged(delta); }) {}
  ~ServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Open();
  absl::Status Listen();

  std::string address() const override { return WithPort(options_.listen, port_); }
  std::string metrics_address() const override { return WithPort(options_.metrics_listen, metrics_port_); }
  std::string scaler_address() const override {
    return scaler_ == nullptr ? "" : WithPort(options_.scaler_listen, scaler_->port());
  }
  void Shutdown(absl::Duration grace) override;

 private:
  absl::Status OpenStores();
  // The stores of --database, and this server's place among those that share it.
  absl::Status OpenShared();
  // Tells the dispatcher what the other servers tell, and says that this one is there.
  absl::Status JoinPeers();
  [[nodiscard]] absl::Status StartSweeper();
  // With --scaler-listen.
  void MakeScaler();
  [[nodiscard]] absl::Status ListenForScaler(const std::shared_ptr<grpc::ServerCredentials>& credentials);
  // What answers the RPCs, over the stores and the dispatcher.
  void MakeServices();
  // Reads the file of --tenant-limits again if it has changed.
  void ReloadTenants() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // By tenant, those that no file names together as "other".
  std::map<std::string, ServerMetrics::TenantClips> CountByTenant() const;
  void SetHealth(bool serving);
  void WatchHealth();

  const ServerOptions options_;
  std::unique_ptr<FolderLock> lock_;
  ServerMetrics metrics_;
  EventHub hub_;
  TrainingHub training_hub_;
  // With --database.
  std::shared_ptr<PostgresPool> database_;
  std::unique_ptr<PeerRelay> relay_;
  std::unique_ptr<PostgresPeers> peers_;
  std::unique_ptr<JobStore> store_;
  std::unique_ptr<TrainingStore> training_store_;
  std::unique_ptr<TenantTable> tenants_;
  std::string tenants_error_ ABSL_GUARDED_BY(mu_);  // why the file of --tenant-limits is not used
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<JoinCache> joins_;
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<CallGate> gate_;
  std::unique_ptr<OpenStreams> open_streams_;  // with --token-file
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<VideoService> videos_;
  std::unique_ptr<TrainingService> training_;
  std::unique_ptr<ExternalScaler> scaler_;
  std::unique_ptr<grpc::Server> grpc_;
  int port_ = 0;
  int metrics_port_ = 0;

  absl::Mutex mu_;
  SteadyCondition stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread health_;
};

absl::Status ServerImpl::Open() {
  const std::string& dir = options_.data_dir;
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("--data-dir: cannot make ", dir, ": ", error.message()));
  auto lock = FolderLock::Take(dir);
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  if (options_.tenant_limits.empty()) {
    tenants_ = std::make_unique<TenantTable>();
  } else {
    auto tenants = TenantTable::Open(options_.tenant_limits);
    if (!tenants.ok()) return tenants.status();
    tenants_ = *std::move(tenants);
  }
  auto authenticator = Authenticator::Open(options_.token_file);
  if (!authenticator.ok()) return WithFlag("--token-file", authenticator.status());
  if (options_.token_file.empty() && !IsLoopback(options_.listen) && options_.tls_client_ca.empty()) {
    spdlog::warn("without --token-file everybody who reaches {} may do everything", options_.listen);
  }
  if (!options_.token_file.empty()) open_streams_ = std::make_unique<OpenStreams>(authenticator->get());
  gate_ = std::make_unique<CallGate>(*std::move(authenticator), options_.rate_limit, options_.rate_burst);
  if (auto opened = OpenStores(); !opened.ok()) return opened;
  auto artifacts = OpenArtifacts(options_.storage, dir, &metrics_.storage());
  if (!artifacts.ok()) return artifacts.status();
  artifacts_ = *std::move(artifacts);
  auto joins = JoinCache::Open(dir + "/joined");
  if (!joins.ok()) return joins.status();
  joins_ = *std::move(joins);
  return absl::OkStatus();
}

absl::Status ServerImpl::OpenStores() {
  if (!options_.database.empty()) return OpenShared();
  auto stores = OpenSqliteStores(options_.data_dir + "/svi.db");
  if (!stores.ok()) return stores.status();
  store_ = std::move(stores->jobs);
  training_store_ = std::move(stores->training);
  return absl::OkStatus();
}

absl::Status ServerImpl::OpenShared() {
  PostgresOptions postgres;
  postgres.url = options_.database;
  postgres.max_connections = options_.database_connections;
  if (!options_.database_password_file.empty()) {
    auto password = ReadPassword(options_.database_password_file);
    if (!password.ok()) return WithFlag("--database-password-file", password.status());
    postgres.password = *std::move(password);
  }
  auto id = KeepServerId(options_.data_dir);
  if (!id.ok()) return WithFlag("--data-dir", id.status());
  postgres.server_id = *id;
  auto database = OpenPostgres(postgres);
  if (!database.ok()) return WithFlag("--database", database.status());
  database_ = *std::move(database);
  Stores stores = MakePostgresStores(database_);
  store_ = std::move(stores.jobs);
  training_store_ = std::move(stores.training);
  relay_ = std::make_unique<PeerRelay>(*id, &hub_, &training_hub_);
  hub_.SetRelay(&relay_->videos());
  training_hub_.SetRelay(&relay_->runs());
  spdlog::info("the stores are in PostgreSQL; this server is {} there", *id);
  if (options_.storage.artifacts.empty()) {
    spdlog::warn(
        "artifacts are in --data-dir: another server with this --database would not find them; give both "
        "--artifacts=s3://...");
  }
  return absl::OkStatus();
}

absl::Status ServerImpl::JoinPeers() {
  if (relay_ == nullptr) return absl::OkStatus();
  PeerRelay::Handlers handlers;
  handlers.video_ended = [this](const std::string& id) { dispatcher_->VideoEnded(id); };
  handlers.run_ended = [this](const std::string& id) { dispatcher_->RunEnded(id); };
  handlers.clips_wait = [this](const std::string& id) {
    id.empty() ? dispatcher_->WorkChanged() : dispatcher_->VideoChanged(id);
  };
  handlers.runs_wait = [this](const std::string&) { dispatcher_->RunsChanged(); };
  relay_->SetHandlers(std::move(handlers));
  PostgresPeersOptions options;
  options.heartbeat_interval = PeerHeartbeat(options_);
  options.gone_after = options_.lease_timeout;
  options.workers = [this] { return dispatcher_->ListWorkers(); };
  peers_ = std::make_unique<PostgresPeers>(database_, relay_.get(), &hub_, &training_hub_, options);
  return peers_->Start();
}

absl::Status ServerImpl::Listen() {
  DispatcherOptions leases;
  leases.heartbeat_interval = options_.heartbeat_interval;
  leases.lease_timeout = options_.lease_timeout;
  leases.max_attempts = options_.max_attempts;
  leases.check_clips = options_.check_clips;
  leases.tenant_limits = [this](const std::string& tenant) { return tenants_->Of(tenant); };
  if (relay_ != nullptr) {
    leases.reconcile_interval = PeerHeartbeat(options_);
    leases.workers_elsewhere = [this] { return peers_->WorkersElsewhere(); };
  }
  leases.queue_changed = [this] {
    if (scaler_ != nullptr) scaler_->Changed();
  };
  const DispatcherParts dispatched = {
      store_.get(), training_store_.get(), artifacts_.get(), &hub_, &training_hub_, &metrics_, gate_.get()};
  dispatcher_ = std::make_unique<Dispatcher>(dispatched, leases);
  if (auto joined = JoinPeers(); !joined.ok()) return joined;
  MakeScaler();
  if (auto started = dispatcher_->Start(); !started.ok()) return started;
  // Not before the queue is known: KEDA would think it empty.
  auto credentials = MakeServerCredentials({options_.tls_cert, options_.tls_key, options_.tls_client_ca});
  if (!credentials.ok()) return credentials.status();
  if (auto scaled = ListenForScaler(*credentials); !scaled.ok()) return scaled;
  MakeServices();

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  if (!options_.reflection) builder.SetOption(std::make_unique<NoReflection>());
  SetChannelLimits(&builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeRpcMetrics(&metrics_));
  if (open_streams_ != nullptr) interceptors.push_back(open_streams_->MakeInterceptors());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.AddListeningPort(options_.listen, *credentials, &port_);
  builder.RegisterService(videos_->service());
  builder.RegisterService(training_->service());
  builder.RegisterService(dispatcher_->worker_service());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr || port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("--listen: cannot listen on ", options_.listen, ": is the port in use?"));
  }
  ServerMetrics::Sources sources;
  sources.jobs = [this] { return store_->Count(); };
  sources.workers = [this] { return dispatcher_->ListWorkers(); };
  sources.tenants = [this] { return CountByTenant(); };
  sources.training = [this] { return training_store_->CountRuns(); };
  sources.trainers = [this] { return dispatcher_->ListTrainers(); };
  metrics_.SetSources(std::move(sources));
  const auto exposed = metrics_.Expose(options_.metrics_listen);
  if (!exposed.ok())
    return absl::UnavailableError(absl::StrCat("--metrics-listen: ", exposed.status().message()));
  metrics_port_ = *exposed;
  SetHealth(true);
  health_ = std::thread([this] { WatchHealth(); });
  return StartSweeper();
}

void ServerImpl::MakeScaler() {
  if (options_.scaler_listen.empty()) return;
  ScaleSources sources;
  sources.workers = [this](absl::Duration target) {
    return static_cast<int64_t>(dispatcher_->WorkersWanted(target));
  };
  sources.trainers = [this]() -> absl::StatusOr<int64_t> {
    const auto counts = training_store_->CountRuns();
    if (!counts.ok())
      return absl::UnavailableError("the store does not tell how many training runs there are");
    int64_t runs = 0;
    for (const auto& [state, count] : counts->runs) {
      if (state == v1::TRAINING_STATE_QUEUED || state == v1::TRAINING_STATE_RUNNING) runs += count;
    }
    return runs;
  };
  scaler_ = std::make_unique<ExternalScaler>(std::move(sources));
}

absl::Status ServerImpl::ListenForScaler(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  if (scaler_ == nullptr) return absl::OkStatus();
  const absl::Status listening = scaler_->Listen(options_.scaler_listen, credentials);
  return listening.ok() ? listening : WithFlag("--scaler-listen", listening);
}

absl::Status ServerImpl::StartSweeper() {
  auto options = MakeSweeperOptions(options_.storage);
  if (!options.ok()) return options.status();
  SweeperParts parts;
  parts.jobs = store_.get();
  parts.training = training_store_.get();
  parts.artifacts = artifacts_.get();
  parts.video_deleted = [this](const std::string& id) {
    hub_.Changed(id);
    joins_->Forget(absl::StrCat(id, "/"));
  };
  parts.swept = [this](const SweepCounts& counts) { metrics_.storage().Swept(counts); };
  sweeper_ = std::make_unique<Sweeper>(parts, *std::move(options));
  sweeper_->Start();
  return absl::OkStatus();
}

void ServerImpl::MakeServices() {
  VideoParts parts;
  parts.store = store_.get();
  parts.artifacts = artifacts_.get();
  parts.hub = &hub_;
  parts.metrics = &metrics_;
  parts.joins = joins_.get();
  parts.gate = gate_.get();
  parts.video_changed = [this](const std::string& id) {
    dispatcher_->VideoChanged(id);
    if (relay_ != nullptr) relay_->videos().WorkChanged(id);
  };
  parts.video_ended = [this](const std::string& id) {
    dispatcher_->VideoEnded(id);
    if (relay_ != nullptr) relay_->videos().Ended(id);
  };
  parts.tenants = tenants_.get();
  parts.estimate = [this](const std::string& id) { return dispatcher_->Estimate(id); };
  parts.list_workers = [this] { return dispatcher_->ListFleet(); };
  videos_ = std::make_unique<VideoService>(std::move(parts), VideoServiceOptions());

  TrainingParts training;
  training.store = training_store_.get();
  training.artifacts = artifacts_.get();
  training.hub = &training_hub_;
  training.metrics = &metrics_;
  training.gate = gate_.get();
  training.runs_changed = [this] {
    dispatcher_->RunsChanged();
    if (relay_ != nullptr) relay_->runs().WorkChanged("");
  };
  training.run_ended = [this](const std::string& id) {
    dispatcher_->RunEnded(id);
    if (relay_ != nullptr) relay_->runs().Ended(id);
  };
  training_ = std::make_unique<TrainingService>(std::move(training), TrainingServiceOptions());
}

void ServerImpl::ReloadTenants() {
  const auto changed = tenants_->Reload();
  const std::string error = changed.ok() ? "" : std::string(changed.status().message());
  if (!error.empty() && error != tenants_error_) {
    spdlog::error("{}; what was read before stays in use", error);
  }
  tenants_error_ = error;
  if (!changed.ok() || !*changed) return;
  spdlog::info("--tenant-limits: read again");
  dispatcher_->LimitsChanged();
}

std::map<std::string, ServerMetrics::TenantClips> ServerImpl::CountByTenant() const {
  std::map<std::string, ServerMetrics::TenantClips> clips;
  for (const auto& counts : dispatcher_->CountByTenant()) {
    ServerMetrics::TenantClips& of = clips[tenants_->IsNamed(counts.tenant) ? counts.tenant : "other"];
    of.waiting += static_cast<int64_t>(counts.waiting);
    of.running += static_cast<int64_t>(counts.running);
  }
  return clips;
}

void ServerImpl::SetHealth(bool serving) {
  auto* health = grpc_->GetHealthCheckService();
  for (const char* service : kServices) health->SetServingStatus(service, serving);
}

void ServerImpl::WatchHealth() {
  bool healthy = true;
  absl::MutexLock lock(&mu_);
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  while (!stop_.AwaitFor(&mu_, options_.health_interval, stopping)) {
    ReloadTenants();
    mu_.Unlock();
    if (open_streams_ != nullptr) open_streams_->EndRevoked();
    const auto answer = training_store_->ListQueued(1);  // in the same database, and cheap
    mu_.Lock();
    if (stopping_ || answer.ok() == healthy) continue;
    healthy = answer.ok();
    if (healthy) {
      spdlog::info("the job store answers again");
    } else {
      spdlog::error("the job store fails: {}", answer.status().ToString());
    }
    SetHealth(healthy);
  }
}

void ServerImpl::Shutdown(absl::Duration grace) {
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    stopping_ = true;
    stop_.Notify();
    if (grpc_ != nullptr) SetHealth(false);
  }
  if (health_.joinable()) health_.join();
  if (sweeper_ != nullptr) sweeper_->Stop();
  if (dispatcher_ != nullptr) {
    dispatcher_->StopAssigning();
    if (!dispatcher_->WaitIdle(absl::Now() + grace)) {
      spdlog::info("clips are still being made; their leases go on when a server starts again");
    }
  }
  if (videos_ != nullptr) videos_->StopWatches();
  if (training_ != nullptr) training_->StopWatches();
  if (dispatcher_ != nullptr) dispatcher_->Shutdown();
  if (grpc_ != nullptr) {
    grpc_->Shutdown(std::chrono::system_clock::now() + kEndCalls);
    grpc_->Wait();
  }
  metrics_.ClearSources();
  // The leases that are left go to the other servers now.
  if (peers_ != nullptr) peers_->Stop();
  scaler_.reset();
  grpc_.reset();
  videos_.reset();
  training_.reset();
  dispatcher_.reset();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  if (auto status = Check(options); !status.ok()) return status;
  auto server = std::make_unique<ServerImpl>(options);
  if (auto status = server->Open(); !status.ok()) return status;
  if (auto status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace svi::server
