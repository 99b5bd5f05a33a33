#include "client/training_client.h"

#include <memory>
#include <utility>

#include "client/names.h"
#include "client/states.h"

namespace svi::client {

std::string TrainingRunName(std::string_view name) { return WithCollection("trainingRuns/", name); }
std::string LoraResourceName(std::string_view name) { return WithCollection("loras/", name); }

absl::StatusOr<v1::TrainingRun> TrainingClient::CreateTrainingRun(v1::CreateTrainingRunRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewUuid());
  return calls_.Call(&v1::TrainingService::Stub::CreateTrainingRun, request);
}

absl::StatusOr<v1::TrainingRun> TrainingClient::GetTrainingRun(std::string_view name) {
  v1::GetTrainingRunRequest request;
  request.set_name(TrainingRunName(name));
  return calls_.Call(&v1::TrainingService::Stub::GetTrainingRun, request);
}

absl::StatusOr<v1::ListTrainingRunsResponse> TrainingClient::ListTrainingRuns(
    const v1::ListTrainingRunsRequest& request) {
  return calls_.Call(&v1::TrainingService::Stub::ListTrainingRuns, request);
}

absl::StatusOr<v1::TrainingRun> TrainingClient::CancelTrainingRun(std::string_view name) {
  v1::CancelTrainingRunRequest request;
  request.set_name(TrainingRunName(name));
  return calls_.Call(&v1::TrainingService::Stub::CancelTrainingRun, request);
}

absl::StatusOr<v1::TrainingRun> TrainingClient::Watch(std::string_view name, uint64_t after_sequence,
                                                      const EventCallback& on_event) {
  v1::WatchTrainingRunRequest request;
  request.set_name(TrainingRunName(name));
  return calls_.Watch<v1::TrainingEvent>(
      after_sequence,
      [this, &request](grpc::ClientContext* context, uint64_t after) {
        request.set_after_sequence(after);
        return calls_.stub().WatchTrainingRun(context, request);
      },
      [this, &request] { return GetTrainingRun(request.name()); }, on_event);
}

absl::StatusOr<v1::Lora> TrainingClient::GetLora(std::string_view name) {
  v1::GetLoraRequest request;
  request.set_name(LoraResourceName(name));
  return calls_.Call(&v1::TrainingService::Stub::GetLora, request);
}

absl::StatusOr<v1::ListLorasResponse> TrainingClient::ListLoras(const v1::ListLorasRequest& request) {
  return calls_.Call(&v1::TrainingService::Stub::ListLoras, request);
}

absl::Status TrainingClient::DeleteLora(std::string_view name) {
  v1::DeleteLoraRequest request;
  request.set_name(LoraResourceName(name));
  bool retried = false;
  const absl::Status status = calls_.Call(&v1::TrainingService::Stub::DeleteLora, request, &retried).status();
  // The attempt whose answer was lost had deleted it.
  return retried && absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status TrainingClient::DownloadLora(std::string_view name, FileDownload& file) {
  v1::DownloadLoraRequest request;
  request.set_name(LoraResourceName(name));
  return calls_.Download<v1::DownloadLoraResponse>(
      [this, &request](grpc::ClientContext* context, uint64_t offset) {
        request.set_offset(offset);
        return calls_.stub().DownloadLora(context, request);
      },
      file);
}

}  // namespace svi::client
