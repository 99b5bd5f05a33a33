// The worker's side of WorkerService: takes one lease at a time, has the engine make the clip, hands the clip
// over.
#ifndef SVI_WORKER_AGENT_AGENT_H_
#define SVI_WORKER_AGENT_AGENT_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/engine.h"
#include "svi/v1/worker_service.pb.h"
#include "worker/agent/clip_maker.h"
#include "worker/agent/engine_thread.h"
#include "worker/agent/lora_watch.h"
#include "worker/agent/mailbox.h"
#include "worker/agent/warm_cache.h"
#include "worker/agent/work_stream.h"
#include "worker/agent/worker_metrics.h"

namespace svi::worker {

struct AgentOptions {
  std::string server;     // HOST:PORT
  std::string worker_id;  // 1..64 of [a-z0-9-], different between processes
  std::string version;
  // After SIGTERM or Drain, how long the clip under way may take before it is handed back.
  absl::Duration drain_timeout = absl::Seconds(120);
  // Wait before the first reconnect; grows by 1.6 each time up to the second value; ±20 % at random.
  absl::Duration min_backoff = absl::Milliseconds(500);
  absl::Duration max_backoff = absl::Seconds(15);
  // Videos whose picture and carry stay in memory.
  size_t warm_videos = 2;
};

// Run is called once, by one thread, which owns all state; everything else reaches it through the mailbox.
//
// A lease goes  RECEIVING (its inputs) ─▶ MAKING ─▶ UPLOADING ─▶ accepted
//                                            └────▶ FAILED ─▶ told to the server
// and can be cancelled anywhere. A broken connection ends RECEIVING only; the rest goes on, and is settled
// with the server when it is back.
class Agent {
 public:
  // `engine` and `metrics` must outlive the agent.
  Agent(engine::Engine* engine, WorkerMetrics* metrics, AgentOptions options);
  // Waits for the engine to come to its next step if it is busy.
  ~Agent();

  // Works until it is drained; then there is no lease left with this worker, unless the server was out of
  // reach.
  void Run();

  // Takes no more leases, finishes the clip under way within the drain timeout. Any thread.
  void Drain();
  // As Drain, but hands the clip back at once. Any thread.
  void HandBack();

  // After Run: the engine still works on a clip that was handed back.
  [[nodiscard]] bool engine_busy() const { return making_ != nullptr; }

 private:
  enum class Phase { kReceiving, kMaking, kUploading, kFailed };

  // What the engine thread gets; only `cancelled` changes once it has it.
  struct ClipWork {
    v1::Assign assign;
    std::string image;  // file bytes; empty if `picture` is there
    std::shared_ptr<const engine::Picture> picture;
    std::shared_ptr<const std::string> carry;
    std::atomic<bool> cancelled = false;
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
    v1::ClipFailed failure;  // in kFailed
  };

  // agent.cc: life, drain, engine.
  absl::Time NextDeadline() const;
  void OnTimers(absl::Time now);
  bool Finished(absl::Time now);
  void OnDrain(bool hand_back);
  void HandBackNow();
  void StartEngine();
  ClipOutcome Make(const std::shared_ptr<ClipWork>& work);  // on the engine thread
  void OnProgress(const std::shared_ptr<ClipWork>& work, v1::Progress progress);
  void OnMade(const std::shared_ptr<ClipWork>& work, ClipOutcome outcome);
  void Fail(v1::ClipFailed failure, const char* outcome);
  // Forgets the lease, and stops the engine if it works on it.
  void DropLease(const char* outcome);

  // agent_stream.cc: the connection and what the server says.
  void Connect();
  void Disconnected();
  void OnMessage(v1::ServerMessage message);
  void OnRegistered(const v1::Registered& registered);
  void OnAssign(v1::Assign assign);
  void OnInput(const v1::ArtifactChunk& chunk);
  void CheckInputs();
  void OnCancel(const v1::CancelLease& cancel);
  void OnAccepted(const v1::ClipAccepted& accepted);
  bool Holds(const v1::LeaseId& id) const;
  // Runs `task` on the agent's thread, unless the connection is another by then.
  std::function<void()> OnThisStream(std::function<void()> task);

  // agent_upload.cc: what goes to the server, one message at a time.
  void SendHeartbeat();
  // Looks into the LoRA folder; returns the names to tell of.
  const std::vector<std::string>& ScanLoras();
  void Send(v1::WorkerMessage message);
  void PumpWrites();
  std::optional<v1::WorkerMessage> NextMessage();
  std::optional<v1::WorkerMessage> NextOfLease();
  v1::WorkerMessage NextChunk(v1::ArtifactKind kind, const std::string& bytes, size_t* sent);
  v1::ClipDone DoneMessage() const;
  void OnWritten(bool ok);

  engine::Engine* const engine_;
  WorkerMetrics* const metrics_;
  const AgentOptions options_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();

  // All below: only Run's thread.
  std::shared_ptr<WorkStream> stream_;  // null while there is no connection
  uint64_t stream_number_ = 0;
  int open_streams_ = 0;  // that gRPC still uses
  bool registered_ = false;
  bool resuming_ = false;  // Register named the lease
  bool writing_ = false;
  bool half_closed_ = false;
  std::function<void()> after_write_;
  std::deque<v1::WorkerMessage> control_;
  std::deque<v1::WorkerMessage> progress_;
  absl::Duration heartbeat_interval_ = absl::Seconds(10);
  absl::Time next_heartbeat_ = absl::InfiniteFuture();
  absl::Time register_deadline_ = absl::InfiniteFuture();
  absl::Time next_connect_ = absl::InfinitePast();
  absl::Duration backoff_;
  std::mt19937_64 random_{std::random_device{}()};

  std::optional<LeaseState> lease_;
  std::shared_ptr<ClipWork> making_;  // what the engine works on; outlives its lease until the engine stops
  WarmCache warm_;
  LoraWatch loras_;
  std::vector<std::string> told_loras_;  // on this connection

  bool draining_ = false;
  absl::Time drain_deadline_ = absl::InfiniteFuture();  // hand back then
  absl::Time exit_deadline_ = absl::InfiniteFuture();   // end Run then, whatever the server has heard
  absl::Time close_time_ = absl::InfiniteFuture();      // end the writes then

  EngineThread engine_thread_;  // last: its tasks use what is above
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_AGENT_H_
