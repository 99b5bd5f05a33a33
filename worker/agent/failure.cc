#include "worker/agent/failure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/cord.h"

namespace svi::worker {
namespace {

constexpr char kReasonPayload[] = "svi-serving/reason";

// How the modes differ.
struct Mode {
  const char* not_found;      // reason
  bool public_data_loss;      // the message was written for the client
  const char* out_of_memory;  // sentences
  const char* failed;
  const char* handed_back;
};

// The engine looks up nothing but LoRAs by name; the agent writes what is said of damaged inputs.
constexpr Mode kClip = {"LORA_NOT_FOUND", true, "The worker ran out of memory for a clip of this size.",
                        "The worker failed while it made the clip.",
                        "The worker stops, and gives the clip back."};
constexpr Mode kRun = {"DATASET_NOT_FOUND", false, "The worker ran out of memory for training at this size.",
                       "The worker failed while it trained.", "The worker stops, and gives the run back."};

struct Kind {
  const char* reason;
  bool permanent;
  bool public_message;
};

Kind KindOf(absl::StatusCode code, const Mode& mode) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {"INVALID_REQUEST", true, true};
    case absl::StatusCode::kNotFound:
      return {mode.not_found, true, true};
    case absl::StatusCode::kResourceExhausted:
      return {"OUT_OF_MEMORY", false, false};
    case absl::StatusCode::kDataLoss:
      return {"INPUT_CORRUPT", false, mode.public_data_loss};
    default:
      return {"WORKER_INTERNAL", false, false};
  }
}

// Failed: v1::ClipFailed or v1::TrainingFailed.
template <typename Failed, typename Lease>
Failed ToFailed(const Lease& lease, const absl::Status& status, const Mode& mode) {
  const Kind kind = KindOf(status.code(), mode);
  Failed failed;
  *failed.mutable_lease() = lease;
  failed.set_permanent(kind.permanent);
  v1::Failure& error = *failed.mutable_error();
  error.set_code(static_cast<int>(status.code()));
  const auto reason = status.GetPayload(kReasonPayload);
  error.set_reason(reason ? std::string(*reason) : kind.reason);
  if (kind.public_message) {
    error.set_message(std::string(status.message()));
  } else if (status.code() == absl::StatusCode::kResourceExhausted) {
    error.set_message(mode.out_of_memory);
  } else {
    error.set_message(mode.failed);
  }
  return failed;
}

template <typename Failed, typename Lease>
Failed ToHandedBack(const Lease& lease, const Mode& mode) {
  Failed failed;
  *failed.mutable_lease() = lease;
  failed.set_handed_back(true);
  v1::Failure& error = *failed.mutable_error();
  error.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
  error.set_reason("WORKER_STOPPING");
  error.set_message(mode.handed_back);
  return failed;
}

}  // namespace

absl::Status WithReason(absl::Status status, const char* reason) {
  status.SetPayload(kReasonPayload, absl::Cord(reason));
  return status;
}

absl::Status WithLoraReason(absl::Status status, const engine::ClipRequest& request,
                            const engine::LoraFolder& folder) {
  if (!absl::IsInvalidArgument(status)) return status;
  const bool invalid =
      std::any_of(request.loras.begin(), request.loras.end(), [&folder](const engine::LoraRef& lora) {
        return std::any_of(folder.refused.begin(), folder.refused.end(), [&lora](const auto& refused) {
          return refused.file == lora.name + ".safetensors";
        });
      });
  return invalid ? WithReason(std::move(status), "LORA_INVALID") : status;
}

v1::ClipFailed ToClipFailed(const v1::LeaseId& lease, const absl::Status& status) {
  return ToFailed<v1::ClipFailed>(lease, status, kClip);
}

v1::TrainingFailed ToTrainingFailed(const v1::RunLease& lease, const absl::Status& status) {
  return ToFailed<v1::TrainingFailed>(lease, status, kRun);
}

v1::ClipFailed HandedBack(const v1::LeaseId& lease) { return ToHandedBack<v1::ClipFailed>(lease, kClip); }

v1::TrainingFailed HandedBack(const v1::RunLease& lease) {
  return ToHandedBack<v1::TrainingFailed>(lease, kRun);
}

v1::ClipFailed EngineStuck(const v1::LeaseId& lease) {
  v1::ClipFailed failed;
  *failed.mutable_lease() = lease;
  v1::Failure& error = *failed.mutable_error();
  error.set_code(static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  error.set_reason("ENGINE_STUCK");
  error.set_message("The worker's engine hung while it made the clip.");
  return failed;
}

}  // namespace svi::worker
