#include "server/lease/dispatcher.h"

#include <utility>

#include "server/lease/lease_manager.h"

namespace svi::server {

Dispatcher::Dispatcher(JobStore* store, ArtifactStore* artifacts, EventHub* hub, ServerMetrics* metrics,
                       DispatcherOptions options)
    : manager_(std::make_unique<LeaseManager>(store, artifacts, hub, metrics, std::move(options))) {}

Dispatcher::~Dispatcher() = default;

absl::Status Dispatcher::Start() { return manager_->Start(); }

void Dispatcher::WorkChanged() { manager_->WorkChanged(); }

void Dispatcher::VideoEnded(const std::string& video_id) { manager_->VideoEnded(video_id); }

std::vector<v1::Worker> Dispatcher::ListWorkers() const { return manager_->ListWorkers(); }

void Dispatcher::StopAssigning() { manager_->StopAssigning(); }

bool Dispatcher::Idle() const { return manager_->WaitIdle(absl::InfinitePast()); }

bool Dispatcher::WaitIdle(absl::Time deadline) const { return manager_->WaitIdle(deadline); }

void Dispatcher::Shutdown() { manager_->Shutdown(); }

void Dispatcher::RunOnce(absl::Time now) { manager_->RunOnce(now); }

grpc::Service* Dispatcher::worker_service() { return manager_.get(); }

}  // namespace svi::server
