// What a LeaseLedger knows of a trainer and of a training run's lease.
#ifndef SVI_SERVER_LEASE_TRAINER_SESSION_H_
#define SVI_SERVER_LEASE_TRAINER_SESSION_H_

#include <string>
#include <utility>

#include "server/lease/worker_session.h"
#include "server/queue/training_store.h"

namespace svi::server {

struct TrainerSession;
struct HeldRun;

struct RunKind {
  using Incoming = v1::TrainerMessage;
  using Outgoing = v1::TrainerOrder;
  using Stream = TrainerStream;
  using LeaseId = v1::RunLease;
  using Register = v1::TrainerRegister;
  using Registered = v1::TrainerRegistered;
  using Heartbeat = v1::TrainerHeartbeat;
  using Failed = v1::TrainingFailed;
  using Lease = TrainingLease;
  using HeldLease = TrainingStore::HeldLease;
  using Finished = FinishedRun;
  using Session = TrainerSession;
  using Held = HeldRun;

  static constexpr char kWork[] = "training run";
  static constexpr char kResult[] = "LoRA";
  static constexpr char kRefused[] = "LORA_REFUSED";
  static constexpr char kEnded[] = "RUN_CANCELLED";

  static v1::RunLease* MutableAccepted(v1::TrainerOrder& message) {
    return message.mutable_accepted()->mutable_lease();
  }
};

struct TrainerSession : SessionOf<RunKind> {};

struct HeldRun : HeldOf<RunKind> {
  HeldRun(TrainingLease held, std::string worker, bool with_lora, ArtifactUpload upload)
      : HeldOf(std::move(held), std::move(worker)), makes_lora(with_lora), lora(std::move(upload)) {}

  bool makes_lora;
  ArtifactUpload lora;

  [[nodiscard]] bool supplied() const { return true; }
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_TRAINER_SESSION_H_
