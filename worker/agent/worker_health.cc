#include "worker/agent/worker_health.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>

#include "absl/strings/str_cat.h"

namespace svi::worker {
namespace {

constexpr char kReady[] = "";
constexpr char kLive[] = "live";
constexpr auto kEndCalls = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerHealth>> WorkerHealth::Listen(const std::string& address) {
  std::unique_ptr<WorkerHealth> health(new WorkerHealth());
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &health->port_);
  builder.RegisterCallbackGenericService(&health->others_);
  health->server_ = builder.BuildAndStart();
  if (health->server_ == nullptr || health->port_ == 0) {
    return absl::UnavailableError(absl::StrCat("--health-listen: cannot listen on ", address));
  }
  health->SetReady(false);
  health->server_->GetHealthCheckService()->SetServingStatus(kLive, true);
  return health;
}

WorkerHealth::~WorkerHealth() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kEndCalls);
}

void WorkerHealth::SetReady(bool ready) { server_->GetHealthCheckService()->SetServingStatus(kReady, ready); }

void WorkerHealth::SetDead() {
  // Whatever is set later is ignored.
  server_->GetHealthCheckService()->Shutdown();
}

}  // namespace svi::worker
