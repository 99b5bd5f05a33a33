// The worker's side of WorkerService: takes one lease at a time, has the engine make the clip, hands the clip
// over.
#ifndef SVI_WORKER_AGENT_AGENT_H_
#define SVI_WORKER_AGENT_AGENT_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/interrupt.h"
#include "engine/engine.h"
#include "svi/v1/worker_service.pb.h"
#include "worker/agent/clip_maker.h"
#include "worker/agent/engine_thread.h"
#include "worker/agent/engine_watch.h"
#include "worker/agent/lease_agent.h"
#include "worker/agent/lora_cache.h"
#include "worker/agent/lora_watch.h"
#include "worker/agent/warm_cache.h"
#include "worker/agent/worker_metrics.h"

namespace svi::worker {

struct AgentOptions : ConnectionOptions {
  // Videos whose picture and carry stay in memory.
  size_t warm_videos = 2;
  // A published LoRA is fetched for this long after the last byte that came, then the clip fails.
  absl::Duration lora_patience = absl::Minutes(2);
  // The engine hangs if a clip makes no step for this long. Its clip is given back, and Run ends, since
  // nothing but a new process can help.
  absl::Duration engine_patience = absl::Minutes(15);
  // The engine hangs. On any thread.
  std::function<void()> on_stuck = [] {};
};

// The agent of a worker in inference mode.
//
// A lease goes  RECEIVING (its inputs) ─▶ MAKING ─▶ UPLOADING ─▶ accepted
//                                            └────▶ FAILED ─▶ told to the server
// and can be cancelled anywhere. A broken connection ends RECEIVING only; the rest goes on, and is settled
// with the server when it is back.
class Agent final : public LeaseAgent<v1::WorkerMessage, v1::ServerMessage> {
 public:
  // `engine`, which looks for LoRAs in `lora_cache`'s folder, `metrics` and `lora_cache` must outlive the
  // agent.
  Agent(engine::Engine* engine, WorkerMetrics* metrics, LoraCache* lora_cache, AgentOptions options);
  // Waits for the engine to come to its next step if it is busy.
  ~Agent() override;

  // After Run: the engine still works on a clip that was handed back.
  [[nodiscard]] bool engine_busy() const { return making_ != nullptr; }
  // Run has ended because the engine hangs.
  [[nodiscard]] bool engine_stuck() const { return stuck_; }

 private:
  enum class Phase { kReceiving, kMaking, kUploading, kFailed };

  // What the engine thread gets; only `interrupt` changes once it has it.
  struct ClipWork {
    v1::Assign assign;
    std::string image;  // file bytes; empty if `picture` is there
    std::shared_ptr<const engine::Picture> picture;
    std::shared_ptr<const std::string> carry;
    client::Interrupt interrupt;  // stops the engine, or the fetching of a LoRA
  };
  // What comes back.
  struct ClipOutcome {
    std::shared_ptr<const engine::Picture> picture;
    absl::StatusOr<MadeClip> clip = absl::UnknownError("not made");
    std::string clip_sha256, carry_sha256;
  };
  struct LeaseState {
    Phase phase = Phase::kReceiving;
    std::shared_ptr<ClipWork> work;
    std::string carry;     // while kReceiving
    bool started = false;  // the engine has it
    ClipOutcome outcome;   // from kUploading on
    size_t clip_sent = 0;  // bytes
    size_t carry_sent = 0;
    bool done_sent = false;  // ClipDone is on its way on this connection
    absl::Time upload_start;
    v1::ClipFailed failure;     // in kFailed
    bool failure_sent = false;  // it is on its way on this connection
  };

  // agent.cc: drain, engine.
  void OnDraining() override;
  void HandBackLease() override;
  void Abandon() override;
  bool has_work() const override { return lease_.has_value(); }
  void SetConnected(bool connected) override { metrics_->SetConnected(connected); }
  void StartEngine();
  ClipOutcome Make(const std::shared_ptr<ClipWork>& work);  // on the engine thread
  absl::Status FetchLoras(ClipWork& work);                  // on the engine thread
  void OnProgress(const std::shared_ptr<ClipWork>& work, v1::Progress progress);
  void OnMade(const std::shared_ptr<ClipWork>& work, ClipOutcome outcome);
  void OnStuck();
  void Fail(v1::ClipFailed failure, const char* outcome);
  // Forgets the lease, and stops the engine if it works on it.
  void DropLease(const char* outcome);

  // agent_stream.cc: what the server says.
  void OnDisconnected() override;
  void OnMessage(v1::ServerMessage message) override;
  void OnRegistered(const v1::Registered& registered);
  void OnAssign(v1::Assign assign);
  void OnInput(const v1::ArtifactChunk& chunk);
  void CheckInputs();
  void OnCancel(const v1::CancelLease& cancel);
  void OnAccepted(const v1::ClipAccepted& accepted);
  bool Holds(const v1::LeaseId& id) const;

  // agent_upload.cc: what goes to the server, one message at a time.
  v1::WorkerMessage Hello() override;
  v1::WorkerMessage Heartbeat() override;
  std::optional<v1::WorkerMessage> NextData() override;
  // Looks into the LoRA folder; returns the names to tell of.
  const std::vector<std::string>& ScanLoras();
  std::optional<v1::WorkerMessage> NextOfLease();
  v1::WorkerMessage NextChunk(v1::ArtifactKind kind, const std::string& bytes, size_t* sent);
  v1::ClipDone DoneMessage() const;

  engine::Engine* const engine_;
  WorkerMetrics* const metrics_;
  LoraCache* const lora_cache_;
  const AgentOptions options_;

  // All below: only Run's thread.
  bool resuming_ = false;  // Register named the lease
  std::deque<v1::WorkerMessage> progress_;
  std::optional<LeaseState> lease_;
  std::shared_ptr<ClipWork> making_;  // what the engine works on; outlives its lease until the engine stops
  WarmCache warm_;
  LoraWatch loras_;
  std::vector<std::string> told_loras_;  // on this connection
  bool stuck_ = false;

  EngineWatch watch_;
  EngineThread engine_thread_;  // last: its tasks use what is above
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_AGENT_H_
