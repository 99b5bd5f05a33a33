// What a training worker says, and what the server says to it.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "worker/agent/failure.h"
#include "worker/agent/lease_text.h"
#include "worker/agent/training_agent.h"

namespace svi::worker {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kLongestId = 128;

// The {id} of `trainingRuns/{id}`; empty if it could not be a folder's name.
std::string RunId(const std::string& name) {
  absl::string_view id = name;
  const bool known = absl::ConsumePrefix(&id, "trainingRuns/") && id.size() <= kLongestId &&
                     std::all_of(id.begin(), id.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
                     });
  return known ? std::string(id) : "";
}

}  // namespace

v1::TrainerMessage TrainingAgent::Hello() {
  v1::TrainerMessage message;
  v1::TrainerRegister& hello = *message.mutable_register_();
  hello.set_worker_id(connection().worker_id);
  hello.set_version(connection().version);
  hello.set_device(backend_->device());
  hello.set_model(backend_->model_label());
  hello.set_ranks(static_cast<uint32_t>(backend_->ranks()));
  resuming_ = lease_.has_value();
  if (lease_) *hello.mutable_holding() = lease_->work->assign.lease();
  return message;
}

v1::TrainerMessage TrainingAgent::Heartbeat() {
  v1::TrainerMessage message;
  v1::TrainerHeartbeat& heartbeat = *message.mutable_heartbeat();
  if (lease_) {
    *heartbeat.mutable_lease() = lease_->work->assign.lease();
  } else if (training_) {
    *heartbeat.mutable_lease() = training_->assign.lease();  // dropped, but the backend is not free yet
  }
  heartbeat.set_draining(draining());
  return message;
}

std::optional<v1::TrainerMessage> TrainingAgent::NextData() {
  if (!lease_) return std::nullopt;
  v1::TrainerMessage message;
  if (lease_->phase == Phase::kFailed) {
    if (lease_->failure_sent) return std::nullopt;
    lease_->failure_sent = true;
    *message.mutable_failed() = lease_->failure;
    AfterWrite([this, work = lease_->work] {
      if (!lease_ || lease_->work != work) return;
      DropLease(nullptr, /*forget=*/false);
      if (!training_) SendHeartbeat();
    });
    return message;
  }
  if (lease_->progress_due) {
    lease_->progress_due = false;
    *message.mutable_progress()->mutable_lease() = lease_->work->assign.lease();
    *message.mutable_progress()->mutable_progress() = lease_->progress;
    return message;
  }
  return lease_->phase == Phase::kUploading ? NextOfUpload() : std::nullopt;
}

std::optional<v1::TrainerMessage> TrainingAgent::NextOfUpload() {
  if (lease_->done_sent) return std::nullopt;
  v1::TrainerMessage message;
  const UploadFile* const lora = lease_->trained.lora.get();
  if (lora && lease_->sent < lora->size()) {
    absl::StatusOr<std::string> bytes = lora->Read(lease_->sent, kChunkBytes);
    if (!bytes.ok()) {
      const v1::RunLease id = lease_->work->assign.lease();
      spdlog::error("lease {}: failed: {}", LeaseText(id), bytes.status().ToString());
      SetFailed(ToTrainingFailed(id, bytes.status()), "failed");
      return NextData();
    }
    v1::LoraChunk& chunk = *message.mutable_lora_chunk();
    *chunk.mutable_lease() = lease_->work->assign.lease();
    chunk.set_offset(lease_->sent);
    chunk.set_data(*std::move(bytes));
    lease_->sent += chunk.data().size();
    return message;
  }
  v1::TrainingDone& done = *message.mutable_done();
  *done.mutable_lease() = lease_->work->assign.lease();
  if (lora) {
    done.set_lora_bytes(lora->size());
    done.set_lora_sha256(lora->sha256());
    done.set_rank(lease_->trained.rank);
  }
  *done.mutable_progress() = lease_->progress;
  lease_->done_sent = true;
  return message;
}

void TrainingAgent::OnDisconnected() {
  if (lease_) lease_->failure_sent = false;
}

void TrainingAgent::OnMessage(v1::TrainerOrder message) {
  switch (message.message_case()) {
    case v1::TrainerOrder::kRegistered:
      OnRegistered(message.registered());
      break;
    case v1::TrainerOrder::kAssign:
      OnAssign(std::move(*message.mutable_assign()));
      break;
    case v1::TrainerOrder::kCancel:
      OnCancel(message.cancel());
      break;
    case v1::TrainerOrder::kAccepted:
      OnAccepted(message.accepted());
      break;
    case v1::TrainerOrder::kDrain:
      OnDrain(false);
      break;
    case v1::TrainerOrder::MESSAGE_NOT_SET:
      break;  // of a newer server
  }
}

void TrainingAgent::OnRegistered(const v1::TrainerRegistered& registered) {
  if (this->registered()) return;
  LeaseAgent::OnRegistered(registered.heartbeat_interval());
  if (resuming_ && lease_) {
    const v1::RunLease& id = lease_->work->assign.lease();
    if (registered.resume()) {
      spdlog::info("lease {}: resumed", LeaseText(id));
      lease_->progress_due = lease_->progress.max_steps() > 0;  // the server may be another by now
      lease_->done_sent = false;
      const uint64_t size = lease_->trained.lora ? lease_->trained.lora->size() : 0;
      // What the server has beyond our file cannot be ours: start over.
      lease_->sent = registered.lora_bytes_received() <= size ? registered.lora_bytes_received() : 0;
    } else {
      spdlog::warn("lease {}: lost while disconnected", LeaseText(id));
      DropLease("lost", /*forget=*/false);  // the next attempt may be ours, and then it goes on
    }
  }
  resuming_ = false;
  SendHeartbeat();
}

bool TrainingAgent::Holds(const v1::RunLease& lease) const {
  if (!lease_) return false;
  const v1::RunLease& held = lease_->work->assign.lease();
  return held.training_run() == lease.training_run() && held.epoch() == lease.epoch();
}

void TrainingAgent::OnAssign(v1::AssignRun assign) {
  // The server has heard of the failure before the write was reported to be over.
  if (lease_ && lease_->failure_sent) DropLease(nullptr, /*forget=*/false);
  std::string run_id = RunId(assign.lease().training_run());
  if (draining() || lease_ || run_id.empty()) {
    spdlog::info("lease {}: not taken", LeaseText(assign.lease()));
    v1::TrainerMessage message;
    *message.mutable_failed() = HandedBack(assign.lease());
    Send(std::move(message));
    return;
  }
  spdlog::info("lease {}: taken, attempt {}", LeaseText(assign.lease()), assign.attempt());
  metrics_->SetBusy(true);
  lease_.emplace();
  lease_->work = std::make_shared<RunWork>();
  lease_->work->assign = std::move(assign);
  lease_->work->run_id = std::move(run_id);
  SendHeartbeat();  // names the lease: the server knows that it has arrived
  StartTraining();  // at once, or when the backend has stopped working on a cancelled run
}

void TrainingAgent::OnCancel(const v1::CancelRun& cancel) {
  if (Holds(cancel.lease())) {
    spdlog::info("lease {}: cancelled: {}", LeaseText(cancel.lease()), cancel.reason());
    // A failure that is being told already has been counted. What is only lost may come back.
    DropLease(lease_->phase == Phase::kFailed ? nullptr : "cancelled",
              /*forget=*/cancel.reason() == "RUN_CANCELLED");
  }
  if (!lease_ && !training_) SendHeartbeat();  // else it is sent when the backend has stopped
}

void TrainingAgent::OnAccepted(const v1::RunAccepted& accepted) {
  if (!Holds(accepted.lease()) || lease_->phase != Phase::kUploading) return;
  DropLease("done", /*forget=*/true);
  spdlog::info("lease {}: done", LeaseText(accepted.lease()));
}

}  // namespace svi::worker
