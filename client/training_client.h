// The client library for TrainingService: training runs, and the LoRAs they make.
#ifndef SVI_CLIENT_TRAINING_CLIENT_H_
#define SVI_CLIENT_TRAINING_CLIENT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/calls.h"
#include "client/file_download.h"
#include "client/interrupt.h"
#include "svi/v1/training_service.grpc.pb.h"

namespace svi::client {

// Errors and threads are those of SviClient. Names may be given without their `trainingRuns/` or `loras/`.
class TrainingClient {
 public:
  // `interrupt` must outlive the client.
  TrainingClient(ClientOptions options, Interrupt* interrupt) : calls_(std::move(options), interrupt) {}

  // An empty request_id is replaced by a UUID, so that trying again cannot make a second run.
  absl::StatusOr<v1::TrainingRun> CreateTrainingRun(v1::CreateTrainingRunRequest request);
  absl::StatusOr<v1::TrainingRun> GetTrainingRun(std::string_view name);
  absl::StatusOr<v1::ListTrainingRunsResponse> ListTrainingRuns(const v1::ListTrainingRunsRequest& request);
  absl::StatusOr<v1::TrainingRun> CancelTrainingRun(std::string_view name);

  // As SviClient::Watch.
  using EventCallback = std::function<absl::Status(const v1::TrainingEvent&)>;
  absl::StatusOr<v1::TrainingRun> Watch(std::string_view name, uint64_t after_sequence,
                                        const EventCallback& on_event);

  absl::StatusOr<v1::Lora> GetLora(std::string_view name);
  absl::StatusOr<v1::ListLorasResponse> ListLoras(const v1::ListLorasRequest& request);
  absl::Status DeleteLora(std::string_view name);
  // As SviClient::DownloadClip.
  absl::Status DownloadLora(std::string_view name, FileDownload& file);

 private:
  Calls<v1::TrainingService> calls_;
};

// "abc" and "trainingRuns/abc" → "trainingRuns/abc".
std::string TrainingRunName(std::string_view name);
// "abc" and "loras/abc" → "loras/abc".
std::string LoraResourceName(std::string_view name);

}  // namespace svi::client

#endif  // SVI_CLIENT_TRAINING_CLIENT_H_
