#include "server/metrics/server_metrics.h"

#include <netdb.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <map>
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
        queue_depth_(&BuildGauge()
                          .Name("svi_queue_depth")
                          .Help("Clips that could be leased now and are not.")
                          .Register(*registry_)
                          .Add({})),
        videos_(&BuildGauge().Name("svi_videos").Help("Videos by state.").Register(*registry_)),
        workers_(&BuildGauge().Name("svi_workers").Help("Connected workers by state.").Register(*registry_)) {
  }

  void Set(std::function<absl::StatusOr<JobStore::Counts>()> counts,
           std::function<std::vector<v1::Worker>()> workers) {
    absl::MutexLock lock(&mu_);
    counts_ = std::move(counts);
    list_workers_ = std::move(workers);
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    absl::MutexLock lock(&mu_);
    RefreshVideos();
    RefreshWorkers();
    return registry_->Collect();
  }

 private:
  void RefreshVideos() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!counts_) return;
    const auto counts = counts_();
    if (!counts.ok()) return;  // the gauges keep their last value; health says that the store fails
    queue_depth_->Set(static_cast<double>(counts->leasable_clips));
    std::map<int, int64_t> by_state;
    for (const auto& [state, count] : counts->videos) by_state[state] = count;
    for (int state = v1::VIDEO_STATE_QUEUED; state <= v1::VIDEO_STATE_CANCELLED; ++state) {
      const auto name = v1::VideoState_Name(static_cast<v1::VideoState>(state));
      videos_->Add({{"state", Label("VIDEO_STATE_", name)}}).Set(static_cast<double>(by_state[state]));
    }
  }

  void RefreshWorkers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!list_workers_) return;
    std::map<int, int64_t> by_state;
    for (const auto& worker : list_workers_()) ++by_state[worker.state()];
    for (int state = v1::WORKER_STATE_IDLE; state <= v1::WORKER_STATE_DRAINING; ++state) {
      const auto name = v1::WorkerState_Name(static_cast<v1::WorkerState>(state));
      workers_->Add({{"state", Label("WORKER_STATE_", name)}}).Set(static_cast<double>(by_state[state]));
    }
  }

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Gauge* const queue_depth_;
  prometheus::Family<prometheus::Gauge>* const videos_;
  prometheus::Family<prometheus::Gauge>* const workers_;
  mutable absl::Mutex mu_;
  std::function<absl::StatusOr<JobStore::Counts>()> counts_ ABSL_GUARDED_BY(mu_);
  std::function<std::vector<v1::Worker>()> list_workers_ ABSL_GUARDED_BY(mu_);
};

ServerMetrics::ServerMetrics() : registry_(std::make_shared<prometheus::Registry>()) {
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
  bytes_served_ = counter("svi_bytes_served_total", "Bytes of artifacts sent, by kind.");
  lease_expiries_ = &counter("svi_lease_expiries_total", "Leases lost to overdue heartbeats.")->Add({});
  events_dropped_ =
      &counter("svi_events_dropped_total", "Transient progress that slow watchers did not get.")->Add({});
  watchers_ = &BuildGauge().Name("svi_watchers").Help("Open watches of videos.").Register(*registry_).Add({});
  scrape_ = std::make_shared<Scrape>(registry_);
  clips_->Add({{"outcome", "committed"}});
  for (const char* kind : {"clip", "video"}) bytes_served_->Add({{"kind", kind}});
  for (const char* stage : {"encode", "denoise", "decode", "mux"})
    stage_seconds_->Add({{"stage", stage}}, kStageBuckets);
}

ServerMetrics::~ServerMetrics() {
  if (exposer_ != nullptr) Stop(std::move(exposer_), exposed_host_, exposed_port_);
}

void ServerMetrics::ClipCommitted(const v1::Clip& clip) {
  ClipEnded("committed");
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

void ServerMetrics::LeaseExpired() { lease_expiries_->Increment(); }

void ServerMetrics::BytesServed(absl::string_view kind, uint64_t bytes) {
  bytes_served_->Add({{"kind", std::string(kind)}}).Increment(static_cast<double>(bytes));
}

void ServerMetrics::WatchersChanged(int delta) { watchers_->Increment(delta); }

void ServerMetrics::EventsDropped(uint64_t count) { events_dropped_->Increment(static_cast<double>(count)); }

void ServerMetrics::SetSources(std::function<absl::StatusOr<JobStore::Counts>()> counts,
                               std::function<std::vector<v1::Worker>()> workers) {
  scrape_->Set(std::move(counts), std::move(workers));
}

void ServerMetrics::ClearSources() { scrape_->Set({}, {}); }

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
