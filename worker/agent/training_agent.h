// The agent of a worker in training mode: takes one run at a time, has the backend train it, hands the LoRA
// over.
#ifndef SVI_WORKER_AGENT_TRAINING_AGENT_H_
#define SVI_WORKER_AGENT_TRAINING_AGENT_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "svi/v1/worker_service.pb.h"
#include "worker/agent/connection_metrics.h"
#include "worker/agent/engine_thread.h"
#include "worker/agent/lease_agent.h"
#include "worker/agent/training_backend.h"
#include "worker/agent/upload_file.h"

namespace svi::worker {

// A lease goes  TRAINING ─▶ UPLOADING ─▶ accepted
//                   └────▶ FAILED ─▶ told to the server
// and can be cancelled anywhere. A broken connection changes nothing: it is settled with the server when it
// is back.
//
// To drain is to stop the run under way with a checkpoint, and to hand it back; what is trained is uploaded
// first. A server that drains its workers gets the same.
class TrainingAgent final : public LeaseAgent<v1::TrainerMessage, v1::TrainerOrder> {
 public:
  // `backend`, of rank 0, and `metrics` must outlive the agent.
  TrainingAgent(TrainingBackend* backend, ConnectionMetrics* metrics, ConnectionOptions options);
  // Waits for the backend to stop.
  ~TrainingAgent() override;

  // After Run: the backend still works on a run that was handed back.
  [[nodiscard]] bool engine_busy() const { return training_ != nullptr; }

 private:
  enum class Phase { kTraining, kUploading, kFailed };

  // What the engine thread gets; only `stop` changes once it has it.
  struct RunWork {
    v1::AssignRun assign;
    std::string run_id;
    std::atomic<bool> stop = false;
  };
  // What comes back.
  struct Trained {
    std::unique_ptr<UploadFile> lora;  // null: objective FULL
    uint32_t rank = 0;
  };
  struct LeaseState {
    Phase phase = Phase::kTraining;
    std::shared_ptr<RunWork> work;
    bool started = false;           // the backend has it
    v1::TrainingProgress progress;  // the newest
    bool progress_due = false;      // the server does not have it
    Trained trained;                // from kUploading on
    uint64_t sent = 0;              // bytes
    bool done_sent = false;         // TrainingDone is on its way on this connection
    v1::TrainingFailed failure;     // in kFailed
    bool failure_sent = false;      // it is on its way on this connection
  };

  // training_agent.cc: drain, backend.
  void OnDraining() override;
  void HandBackLease() override;
  void Abandon() override;
  // A checkpoint that is being written is worth waiting for.
  bool has_work() const override { return lease_.has_value() || training_ != nullptr; }
  void SetConnected(bool connected) override { metrics_->SetConnected(connected); }
  void StartTraining();
  absl::StatusOr<Trained> Train(const std::shared_ptr<RunWork>& work);  // on the engine thread
  void OnProgress(const std::shared_ptr<RunWork>& work, v1::TrainingProgress progress);
  void OnTrained(const std::shared_ptr<RunWork>& work, absl::StatusOr<Trained> trained);
  void SetFailed(v1::TrainingFailed failure, const char* outcome);
  void Fail(v1::TrainingFailed failure, const char* outcome);  // and tells the server
  // Forgets the lease, and stops the backend if it works on it. `forget`: what the backend keeps of it, too.
  void DropLease(const char* outcome, bool forget);

  // training_stream.cc: what is said, and what the server says.
  void OnDisconnected() override;
  void OnMessage(v1::TrainerOrder message) override;
  void OnRegistered(const v1::TrainerRegistered& registered);
  void OnAssign(v1::AssignRun assign);
  void OnCancel(const v1::CancelRun& cancel);
  void OnAccepted(const v1::RunAccepted& accepted);
  bool Holds(const v1::RunLease& lease) const;
  v1::TrainerMessage Hello() override;
  v1::TrainerMessage Heartbeat() override;
  std::optional<v1::TrainerMessage> NextData() override;
  std::optional<v1::TrainerMessage> NextOfUpload();

  TrainingBackend* const backend_;
  ConnectionMetrics* const metrics_;

  // All below: only Run's thread.
  bool resuming_ = false;  // TrainerRegister named the lease
  std::optional<LeaseState> lease_;
  std::shared_ptr<RunWork>
      training_;  // what the backend works on; outlives its lease until the backend stops

  EngineThread engine_thread_;  // last: its tasks use what is above
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_TRAINING_AGENT_H_
