#include "worker/agent/failure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/cord.h"

namespace svi::worker {
namespace {

constexpr char kReasonPayload[] = "svi-serving/reason";

struct Kind {
  const char* reason;
  bool permanent;
  bool public_message;
};

Kind KindOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {"INVALID_REQUEST", true, true};
    case absl::StatusCode::kNotFound:  // the engine looks up nothing but LoRAs by name
      return {"LORA_NOT_FOUND", true, true};
    case absl::StatusCode::kResourceExhausted:
      return {"OUT_OF_MEMORY", false, false};
    case absl::StatusCode::kDataLoss:
      return {"INPUT_CORRUPT", false, true};
    default:
      return {"WORKER_INTERNAL", false, false};
  }
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
  const Kind kind = KindOf(status.code());
  v1::ClipFailed failed;
  *failed.mutable_lease() = lease;
  failed.set_permanent(kind.permanent);
  v1::Failure& error = *failed.mutable_error();
  error.set_code(static_cast<int>(status.code()));
  const auto reason = status.GetPayload(kReasonPayload);
  error.set_reason(reason ? std::string(*reason) : kind.reason);
  if (kind.public_message) {
    error.set_message(std::string(status.message()));
  } else if (status.code() == absl::StatusCode::kResourceExhausted) {
    error.set_message("The worker ran out of memory for a clip of this size.");
  } else {
    error.set_message("The worker failed while it made the clip.");
  }
  return failed;
}

v1::ClipFailed HandedBack(const v1::LeaseId& lease) {
  v1::ClipFailed failed;
  *failed.mutable_lease() = lease;
  failed.set_handed_back(true);
  v1::Failure& error = *failed.mutable_error();
  error.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
  error.set_reason("WORKER_STOPPING");
  error.set_message("The worker stops, and gives the clip back.");
  return failed;
}

}  // namespace svi::worker
