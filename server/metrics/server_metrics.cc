#include "server/metrics/server_metrics.h"

#include <netdb.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace svi::server {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;

const Histogram::BucketBoundaries kRpcBuckets = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                                 2.5,   5,     10,   30,    60,   300, 1800, 7200};
// From a tiny model on a CPU to minutes of denoising.
const Histogram::BucketBoundaries kStageBuckets = {0.01, 0.05, 0.1, 0.5, 1,   2.5, 5,   10,
                                                   20,   40,   80,  160, 320, 640, 1280};

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + 1e-9 * duration.nanos();
}

// VIDEO_STATE_QUEUED → queued.
std::string Label(absl::string_view prefix, const std::string& name) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

// Sets family{state} for every state from `first` to `last`, 0 where `counts`, pairs of state and number, has
// none. `name(state)` starts with `prefix`.
template <typename State, typename Counts, typename Name>
void SetByState(prometheus::Family<prometheus::Gauge>& family, State first, State last, const Counts& counts,
                absl::string_view prefix, const Name& name) {
  std::map<int, int64_t> by_state;
  for (const auto& [state, count] : counts) by_state[state] += count;
  for (int state = first; state <= last; ++state) {
    family.Add({{"state", Label(prefix, name(static_cast<State>(state)))}})
        .Set(static_cast<double>(by_state[state]));
  }
}

void SetWorkers(prometheus::Family<prometheus::Gauge>& family, const std::vector<v1::Worker>& workers) {
  std::vector<std::pair<v1::WorkerState, int64_t>> counts;
  for (const v1::Worker& worker : workers) counts.emplace_back(worker.state(), 1);
  SetByState(family, v1::WORKER_STATE_IDLE, v1::WORKER_STATE_DRAINING, counts, "WORKER_STATE_",
             v1::WorkerState_Name<v1::WorkerState>);
}

// "[::1]:80" → "::1".
std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return host;
}

// The exposer's HTTP server looks whether it shall stop only when its wait for connections, of 2 s, is over;
// so it gets connections until it has stopped. If it cannot be reached, stopping just takes that long.
void Stop(std::unique_ptr<prometheus::Exposer> exposer, const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* address = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &address) != 0) return;
  absl::Notification stopped;
  std::thread knock([&] {
    do {
      const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) continue;
      (void)connect(fd, address->ai_addr, address->ai_addrlen);
      close(fd);
    } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(10)));
  });
  exposer.reset();
  stopped.Notify();
  knock.join();
  freeaddrinfo(address);
}

}  // namespace

// Asked by the exposer: brings the gauges that mirror other parts up to date first, so that nothing has to
// poll.
class ServerMetrics::Scrape : public prometheus::Collectable {
 public:
  explicit Scrape(std::shared_ptr<prometheus::Registry> registry)
      : registry_(std::move(registry)),
        queue_depth_(MakeFamily("svi_queue_depth", "Clips that could be leased now and are not.").Add({})),
        loras_(MakeFamily("svi_loras", "Published LoRAs.").Add({})),
        videos_(MakeFamily("svi_videos", "Videos by state.")),
        workers_(MakeFamily("svi_workers", "Connected workers by state.")),
        runs_(MakeFamily("svi_training_runs", "Training runs by state.")),
        trainers_(MakeFamily("svi_trainers", "Connected workers in training mode, by state.")),
        tenants_(MakeFamily("svi_tenant_clips", "Clips that wait or are being made, by tenant.")) {}

  void Set(Sources sources) {
    absl::MutexLock lock(&mu_);
    sources_ = std::move(sources);
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    absl::MutexLock lock(&mu_);
    Refresh();
    return registry_->Collect();
  }

 private:
  prometheus::Family<prometheus::Gauge>& MakeFamily(const char* name, const char* help) {
    return BuildGauge().Name(name).Help(help).Register(*registry_);
  }

  void Refresh() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (sources_.jobs) SetJobs(sources_.jobs());
    if (sources_.training) SetTraining(sources_.training());
    if (sources_.workers) SetWorkers(workers_, sources_.workers());
    if (sources_.trainers) SetWorkers(trainers_, sources_.trainers());
    if (sources_.tenants) SetTenants(sources_.tenants());
  }

  // When the store fails, the gauges keep their last value; health says that it does.
  void SetJobs(const absl::StatusOr<JobStore::Counts>& counts) const {
    if (!counts.ok()) return;
    queue_depth_.Set(static_cast<double>(counts->leasable_clips));
    SetByState(videos_, v1::VIDEO_STATE_QUEUED, v1::VIDEO_STATE_CANCELLED, counts->videos, "VIDEO_STATE_",
               v1::VideoState_Name<v1::VideoState>);
  }
  void SetTraining(const absl::StatusOr<TrainingStore::Counts>& counts) const {
    if (!counts.ok()) return;
    loras_.Set(static_cast<double>(counts->loras));
    SetByState(runs_, v1::TRAINING_STATE_QUEUED, v1::TRAINING_STATE_CANCELLED, counts->runs,
               "TRAINING_STATE_", v1::TrainingState_Name<v1::TrainingState>);
  }

  void SetTenants(std::map<std::string, TenantClips> clips) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const std::string& tenant : seen_tenants_) clips.try_emplace(tenant);
    for (const auto& [tenant, counts] : clips) {
      tenants_.Add({{"tenant", tenant}, {"state", "waiting"}}).Set(static_cast<double>(counts.waiting));
      tenants_.Add({{"tenant", tenant}, {"state", "running"}}).Set(static_cast<double>(counts.running));
      seen_tenants_.insert(tenant);
    }
  }

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Gauge& queue_depth_;
  prometheus::Gauge& loras_;
  prometheus::Family<prometheus::Gauge>& videos_;
  prometheus::Family<prometheus::Gauge>& workers_;
  prometheus::Family<prometheus::Gauge>& runs_;
  prometheus::Family<prometheus::Gauge>& trainers_;
  prometheus::Family<prometheus::Gauge>& tenants_;
  mutable std::set<std::string> seen_tenants_ ABSL_GUARDED_BY(mu_);  // their gauges go back to 0
  mutable absl::Mutex mu_;
  Sources sources_ ABSL_GUARDED_BY(mu_);
};

ServerMetrics::ServerMetrics()
    : registry_(std::make_shared<prometheus::Registry>()), drift_(*registry_), storage_(*registry_) {
  auto counter = [this](const char* name, const char* help) {
    return &BuildCounter().Name(name).Help(help).Register(*registry_);
  };
  auto histogram = [this](const char* name, const char* help) {
    return &BuildHistogram().Name(name).Help(help).Register(*registry_);
  };
  rpc_started_ = counter("grpc_server_started_total", "RPCs started.");
  rpc_handled_ = counter("grpc_server_handled_total", "RPCs completed, by code.");
  rpc_received_ = counter("grpc_server_msg_received_total", "Messages received from clients.");
  rpc_sent_ = counter("grpc_server_msg_sent_total", "Messages sent to clients.");
  rpc_seconds_ =
      histogram("grpc_server_handling_seconds", "Time from the start of an RPC to its status, seconds.");
  stage_seconds_ = histogram("svi_clip_stage_seconds", "Wall time of a committed clip's stages, seconds.");
  clips_ = counter("svi_clips_total", "Attempts at clips, by how they ended.");
  training_attempts_ =
      counter("svi_training_attempts_total", "Attempts at training runs, by how they ended.");
  bytes_served_ = counter("svi_bytes_served_total", "Bytes of artifacts sent, by kind.");
  videos_refused_ = counter("svi_videos_refused_total", "Videos refused because a limit was met.");
  claims_lost_ =
      &counter("svi_claims_lost_total", "Clips that were not there any more when they were to be leased.")
           ->Add({});
  lease_expiries_ = &counter("svi_lease_expiries_total", "Leases lost to overdue heartbeats.")->Add({});
  training_lease_expiries_ =
      &counter("svi_training_lease_expiries_total", "Leases of training runs lost to overdue heartbeats.")
           ->Add({});
  events_dropped_ =
      &counter("svi_events_dropped_total", "Transient progress that slow watchers did not get.")->Add({});
  watchers_ = &BuildGauge()
                   .Name("svi_watchers")
                   .Help("Open watches of videos and training runs.")
                   .Register(*registry_)
                   .Add({});
  scrape_ = std::make_shared<Scrape>(registry_);
  clips_->Add({{"outcome", "committed"}});
  training_attempts_->Add({{"outcome", "committed"}});
  for (const char* reason : {"quota", "queue_full"}) videos_refused_->Add({{"reason", reason}});
  for (const char* kind : {"clip", "video", "lora"}) bytes_served_->Add({{"kind", kind}});
  for (const char* stage : {"encode", "denoise", "decode", "mux"})
    stage_seconds_->Add({{"stage", stage}}, kStageBuckets);
}

ServerMetrics::~ServerMetrics() {
  if (exposer_ != nullptr) Stop(std::move(exposer_), exposed_host_, exposed_port_);
}

void ServerMetrics::ClipCommitted(const v1::Clip& clip) {
  ClipEnded("committed");
  if (clip.index() > 0 && clip.has_drift()) drift_.Observe(clip.drift());
  const std::array<std::pair<const char*, const google::protobuf::Duration*>, 4> stages = {{
      {"encode", &clip.encode_time()},
      {"denoise", &clip.denoise_time()},
      {"decode", &clip.decode_time()},
      {"mux", &clip.mux_time()},
  }};
  for (const auto& [stage, time] : stages) {
    stage_seconds_->Add({{"stage", stage}}, kStageBuckets).Observe(Seconds(*time));
  }
}

void ServerMetrics::ClipEnded(absl::string_view outcome) {
  clips_->Add({{"outcome", std::string(outcome)}}).Increment();
}

void ServerMetrics::ClaimLost() { claims_lost_->Increment(); }

void ServerMetrics::VideoRefused(absl::string_view reason) {
  videos_refused_->Add({{"reason", std::string(reason)}}).Increment();
}

void ServerMetrics::LeaseExpired() { lease_expiries_->Increment(); }

void ServerMetrics::TrainingEnded(absl::string_view outcome) {
  training_attempts_->Add({{"outcome", std::string(outcome)}}).Increment();
}

void ServerMetrics::TrainingLeaseExpired() { training_lease_expiries_->Increment(); }

void ServerMetrics::BytesServed(absl::string_view kind, uint64_t bytes) {
  bytes_served_->Add({{"kind", std::string(kind)}}).Increment(static_cast<double>(bytes));
}

void ServerMetrics::WatchersChanged(int delta) { watchers_->Increment(delta); }

void ServerMetrics::EventsDropped(uint64_t count) { events_dropped_->Increment(static_cast<double>(count)); }

void ServerMetrics::SetSources(Sources sources) { scrape_->Set(std::move(sources)); }

void ServerMetrics::ClearSources() { scrape_->Set({}); }

absl::StatusOr<int> ServerMetrics::Expose(const std::string& address) {
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception&) {
    return absl::UnavailableError("cannot listen for metrics on " + address + ": is the port in use?");
  }
  exposer_->RegisterCollectable(scrape_);
  const auto ports = exposer_->GetListeningPorts();
  if (ports.empty()) return absl::UnavailableError("cannot listen for metrics on " + address);
  exposed_host_ = HostOf(address);
  exposed_port_ = ports.front();
  return exposed_port_;
}

std::string ServerMetrics::Text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, scrape_->Collect());
  return out.str();
}

RpcMethodMetrics ServerMetrics::Rpc(const std::string& service, const std::string& method,
                                    const std::string& type) {
  const prometheus::Labels labels = {{"grpc_service", service}, {"grpc_method", method}, {"grpc_type", type}};
  return {&rpc_started_->Add(labels), &rpc_received_->Add(labels), &rpc_sent_->Add(labels),
          &rpc_seconds_->Add(labels, kRpcBuckets)};
}

void ServerMetrics::RpcHandled(const std::string& service, const std::string& method, const std::string& type,
                               const std::string& code) {
  rpc_handled_
      ->Add({{"grpc_service", service}, {"grpc_method", method}, {"grpc_type", type}, {"grpc_code", code}})
      .Increment();
}

}  // namespace svi::server
