#include "server/lease/dispatcher.h"

#include <algorithm>
#include <iterator>

#include "server/auth/call_gate.h"
#include "server/lease/lease_manager.h"
#include "server/lease/training_manager.h"
#include "server/rpc/status.h"
#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::server {

namespace {

// A stream that ends as it begins.
template <typename Incoming, typename Outgoing>
class RefusedStream final : public grpc::ServerBidiReactor<Incoming, Outgoing> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

// Hands each stream to who deals with its kind.
class WorkerApi final : public v1::WorkerService::CallbackService {
 public:
  WorkerApi(CallGate* gate, LeaseManager* leases, TrainingManager* trainers)
      : gate_(gate), leases_(leases), trainers_(trainers) {}

  grpc::ServerBidiReactor<v1::WorkerMessage, v1::ServerMessage>* Work(
      grpc::CallbackServerContext* context) override {
    const auto caller = IdentifyCaller(gate_, *context, Audience::kWorkers);
    if (!caller.ok()) return new RefusedStream<v1::WorkerMessage, v1::ServerMessage>(caller.status());
    return leases_->Accept(context);
  }
  grpc::ServerBidiReactor<v1::TrainerMessage, v1::TrainerOrder>* Train(
      grpc::CallbackServerContext* context) override {
    const auto caller = IdentifyCaller(gate_, *context, Audience::kWorkers);
    if (!caller.ok()) return new RefusedStream<v1::TrainerMessage, v1::TrainerOrder>(caller.status());
    return trainers_->Accept(context);
  }

 private:
  CallGate* const gate_;
  LeaseManager* const leases_;
  TrainingManager* const trainers_;
};

Dispatcher::Dispatcher(const DispatcherParts& parts, const DispatcherOptions& options)
    : clock_(options.clock),
      workers_elsewhere_(options.workers_elsewhere),
      leases_(std::make_unique<LeaseManager>(parts.store, parts.training, parts.artifacts, parts.hub,
                                             parts.metrics, options)),
      // Clips may wait for a LoRA that is published now.
      trainers_(std::make_unique<TrainingManager>(parts.training, parts.artifacts, parts.training_hub,
                                                  parts.metrics, options,
                                                  [this] { leases_->WorkChanged(); })),
      api_(std::make_unique<WorkerApi>(parts.gate, leases_.get(), trainers_.get())) {}

Dispatcher::~Dispatcher() { Shutdown(); }

absl::Status Dispatcher::Start() {
  const absl::Status started = leases_->Start();
  return started.ok() ? trainers_->Start() : started;
}

void Dispatcher::VideoChanged(const std::string& video_id) { leases_->VideoChanged(video_id); }

void Dispatcher::WorkChanged() { leases_->WorkChanged(); }

void Dispatcher::RunsChanged() { trainers_->WorkChanged(); }

void Dispatcher::VideoEnded(const std::string& video_id) {
  leases_->JobEnded(video_id);
  leases_->VideoChanged(video_id);
}

void Dispatcher::RunEnded(const std::string& run_id) { trainers_->JobEnded(run_id); }

std::vector<v1::Worker> Dispatcher::ListWorkers() const { return leases_->ListWorkers(); }

std::vector<v1::Worker> Dispatcher::ListFleet() const {
  std::vector<v1::Worker> fleet = leases_->ListWorkers();
  if (!workers_elsewhere_) return fleet;
  const auto by_name = [](const v1::Worker& a, const v1::Worker& b) { return a.name() < b.name(); };
  const auto same_name = [](const v1::Worker& a, const v1::Worker& b) { return a.name() == b.name(); };
  std::vector<v1::Worker> elsewhere = workers_elsewhere_();
  fleet.insert(fleet.end(), std::make_move_iterator(elsewhere.begin()),
               std::make_move_iterator(elsewhere.end()));
  // Stable: of a worker that has just come here from another server, this one knows better.
  std::stable_sort(fleet.begin(), fleet.end(), by_name);
  fleet.erase(std::unique(fleet.begin(), fleet.end(), same_name), fleet.end());
  return fleet;
}

std::vector<v1::Worker> Dispatcher::ListTrainers() const { return trainers_->ListWorkers(); }

std::optional<VideoEstimate> Dispatcher::Estimate(const std::string& video_id) const {
  return leases_->queue().Estimate(video_id, clock_());
}

size_t Dispatcher::WorkersWanted(absl::Duration target) const {
  return leases_->queue().WorkersWanted(target);
}

std::vector<ScheduleIndex::TenantCounts> Dispatcher::CountByTenant() const {
  return leases_->queue().CountByTenant();
}

void Dispatcher::LimitsChanged() {
  leases_->queue().LimitsChanged();
  leases_->WorkChanged();
}

void Dispatcher::StopAssigning() {
  leases_->StopAssigning();
  trainers_->StopAssigning();
}

bool Dispatcher::Idle() const { return leases_->WaitIdle(absl::InfinitePast()); }

bool Dispatcher::TrainersIdle() const { return trainers_->WaitIdle(absl::InfinitePast()); }

bool Dispatcher::WaitIdle(absl::Time deadline) const { return leases_->WaitIdle(deadline); }

void Dispatcher::Shutdown() {
  trainers_->Shutdown();
  leases_->Shutdown();
}

void Dispatcher::RunOnce(absl::Time now) {
  leases_->RunOnce(now);
  trainers_->RunOnce(now);
}

grpc::Service* Dispatcher::worker_service() { return api_.get(); }

}  // namespace svi::server
