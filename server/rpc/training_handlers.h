// What TrainingService does, without gRPC: each RPC as a function over the stores.
#ifndef SVI_SERVER_RPC_TRAINING_HANDLERS_H_
#define SVI_SERVER_RPC_TRAINING_HANDLERS_H_

#include <google/protobuf/empty.pb.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/artifacts/artifact_store.h"
#include "server/auth/call_gate.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/training_store.h"
#include "server/rpc/download_source.h"
#include "server/stream/event_hub.h"
#include "svi/v1/training_service.pb.h"

namespace svi::server {

// All borrowed. The functions stand for the Dispatcher; each returns at once.
struct TrainingParts {
  TrainingStore* store = nullptr;
  ArtifactStore* artifacts = nullptr;
  TrainingHub* hub = nullptr;
  ServerMetrics* metrics = nullptr;
  CallGate* gate = nullptr;  // null: everybody may call
  std::function<void()> runs_changed = [] {};
  std::function<void(const std::string& run_id)> run_ended = [](const std::string&) {};
};

// Thread-safe. Errors are as the comments of training_service.proto say. Runs are their tenants'; published
// LoRAs are everybody's.
class TrainingHandlers {
 public:
  explicit TrainingHandlers(TrainingParts parts) : parts_(std::move(parts)) {}

  absl::StatusOr<v1::TrainingRun> Create(const CallIdentity& caller,
                                         const v1::CreateTrainingRunRequest& request);
  absl::StatusOr<v1::TrainingRun> Get(const CallIdentity& caller, const v1::GetTrainingRunRequest& request);
  absl::StatusOr<v1::ListTrainingRunsResponse> List(const CallIdentity& caller,
                                                    const v1::ListTrainingRunsRequest& request);
  absl::StatusOr<v1::TrainingRun> Cancel(const CallIdentity& caller,
                                         const v1::CancelTrainingRunRequest& request);
  absl::StatusOr<v1::Lora> GetLora(const CallIdentity& caller, const v1::GetLoraRequest& request);
  absl::StatusOr<v1::ListLorasResponse> ListLoras(const CallIdentity& caller,
                                                  const v1::ListLorasRequest& request);
  absl::StatusOr<google::protobuf::Empty> DeleteLora(const CallIdentity& caller,
                                                     const v1::DeleteLoraRequest& request);

  // `name`: without "loras/".
  absl::StatusOr<Download> OpenLora(const std::string& name);

  const TrainingParts& parts() const { return parts_; }

 private:
  // NOT_FOUND, as if there were none, unless the run is the caller's.
  absl::Status CheckOwner(const CallIdentity& caller, const std::string& id);

  const TrainingParts parts_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_TRAINING_HANDLERS_H_
