#include "server/lease/trainer_messages.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace svi::server {
namespace {

constexpr absl::string_view kRunPrefix = "trainingRuns/";
constexpr uint32_t kMaxRanks = 65536;
constexpr uint32_t kMaxSteps = 10000000;
constexpr uint32_t kMaxLoraRank = 1024;
constexpr int kMaxGrids = 1000;
constexpr size_t kMaxPhaseBytes = 256;

}  // namespace

absl::Status CheckRegister(const v1::TrainerRegister& message) {
  if (!IsWorkerId(message.worker_id())) {
    return absl::InvalidArgumentError("register.worker_id: 1..64 characters of [a-z0-9-]");
  }
  return First({
      CheckLength("register.version", message.version(), kMaxLabelBytes),
      CheckLength("register.device", message.device(), kMaxLabelBytes),
      CheckLength("register.model", message.model(), kMaxLabelBytes),
      CheckRange("register.ranks", message.ranks(), 0, kMaxRanks),
  });
}

absl::Status CheckChunk(const v1::LoraChunk& message) { return CheckData("lora_chunk.data", message.data()); }

absl::Status CheckDone(const v1::TrainingDone& message, bool makes_lora) {
  if (!makes_lora) {
    return First({CheckRange("done.lora_bytes (objective FULL)", message.lora_bytes(), 0, 0),
                  CheckProgress(message.progress())});
  }
  if (message.lora_bytes() == 0) return absl::InvalidArgumentError("done.lora_bytes: 0");
  return First({
      CheckRange("done.lora_sha256 (bytes)", message.lora_sha256().size(), kSha256Bytes, kSha256Bytes),
      CheckRange("done.rank", message.rank(), 1, kMaxLoraRank),
      CheckProgress(message.progress()),
  });
}

absl::Status CheckProgress(const v1::TrainingProgress& progress) {
  return First({
      CheckRange("progress.max_steps", progress.max_steps(), 0, kMaxSteps),
      CheckRange("progress.step", progress.step(), 0, progress.max_steps()),
      CheckRange("progress.checkpoint_step", progress.checkpoint_step(), 0, progress.max_steps()),
      CheckRange("progress.latent_bank_grids (entries)", progress.latent_bank_grids_size(), 0, kMaxGrids),
      CheckRange("progress.noise_bank_grids (entries)", progress.noise_bank_grids_size(), 0, kMaxGrids),
      CheckLength("progress.phase", progress.phase(), kMaxPhaseBytes),
      CheckDuration("progress.eta", progress.eta()),
  });
}

absl::StatusOr<TrainingLease> ParseLease(const v1::RunLease& id) {
  absl::string_view run = id.training_run();
  if (!absl::ConsumePrefix(&run, kRunPrefix) || !IsJobId(run)) {
    return absl::InvalidArgumentError("lease.training_run: not `trainingRuns/{id}`");
  }
  if (id.epoch() == 0) return absl::InvalidArgumentError("lease.epoch: 0");
  return TrainingLease{std::string(run), id.epoch()};
}

v1::RunLease ToLeaseId(const TrainingLease& lease) {
  v1::RunLease id;
  id.set_training_run(absl::StrCat(kRunPrefix, lease.run_id));
  id.set_epoch(lease.epoch);
  return id;
}

std::string ToString(const TrainingLease& lease) { return absl::StrCat(lease.run_id, " e", lease.epoch); }

std::string LoraKey(const TrainingLease& lease) {
  return absl::StrCat(lease.run_id, "/lora.e", lease.epoch, ".safetensors");
}

}  // namespace svi::server
