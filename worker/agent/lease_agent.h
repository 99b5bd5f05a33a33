// What the agents of both modes have in common: the connection to the server that comes back when it breaks,
// the heartbeat, and how a worker stops.
#ifndef SVI_WORKER_AGENT_LEASE_AGENT_H_
#define SVI_WORKER_AGENT_LEASE_AGENT_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "worker/agent/mailbox.h"
#include "worker/agent/work_stream.h"

namespace svi::worker {

struct ConnectionOptions {
  Endpoint endpoint;
  std::string worker_id;  // 1..64 of [a-z0-9-], different between processes
  std::string version;
  // After SIGTERM or Drain, how long the lease may take to end before it is handed back.
  absl::Duration drain_timeout = absl::Seconds(120);
  // Whether it takes work, from when that changes: it is registered, and not told to stop. On Run's thread.
  std::function<void(bool)> on_ready = [](bool) {};
  // Wait before the first reconnect; grows by 1.6 each time up to the second value; ±20 % at random.
  absl::Duration min_backoff = absl::Milliseconds(500);
  absl::Duration max_backoff = absl::Seconds(15);
};

// Run is called once, by one thread, which owns all state; everything else reaches it through the mailbox. A
// mode derives from this, says what it is and what it has to send, and reacts to what the server says.
template <typename Outgoing, typename Incoming>
class LeaseAgent {
 public:
  LeaseAgent(const LeaseAgent&) = delete;
  LeaseAgent& operator=(const LeaseAgent&) = delete;

  // Works until it is drained; then there is no lease left with this worker, unless the server was out of
  // reach.
  void Run();

  // Takes no more leases, ends the one that is held within the drain timeout. Any thread.
  void Drain();
  // As Drain, but hands the lease back at once. Any thread.
  void HandBack();

 protected:
  explicit LeaseAgent(ConnectionOptions options);
  virtual ~LeaseAgent() = default;

  // All below: Run's thread only.

  // What a mode says. The first message of a connection; a heartbeat of now; what waits while no control
  // message does.
  virtual Outgoing Hello() = 0;
  virtual Outgoing Heartbeat() = 0;
  virtual std::optional<Outgoing> NextData() = 0;
  // What it does. Every message of the server's.
  virtual void OnMessage(Incoming message) = 0;
  virtual void OnDisconnected() = 0;
  // Drain has been asked for, for the first time.
  virtual void OnDraining() = 0;
  // Tells the server, as soon as it can, that the lease goes back. There may be none.
  virtual void HandBackLease() = 0;
  // Run ends: nobody waits for what is under way.
  virtual void Abandon() = 0;
  virtual void SetConnected(bool connected) = 0;
  // What Run waits for when it drains: a lease is held, or what it began is not over.
  [[nodiscard]] virtual bool has_work() const = 0;

  // The server's answer to Hello.
  void OnRegistered(const google::protobuf::Duration& heartbeat_interval);
  void OnDrain(bool hand_back);
  void SendHeartbeat();
  // Before all that NextData has. Dropped if there is no registered connection.
  void Send(Outgoing message);
  // There is something new for NextData to say.
  void PumpWrites();
  // Called once the message that NextData is about to return is written.
  void AfterWrite(std::function<void()> task) { after_write_ = std::move(task); }
  [[nodiscard]] bool registered() const { return registered_; }
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] const ConnectionOptions& connection() const { return options_; }

  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();

 private:
  using Stream = WorkStream<Outgoing, Incoming>;

  absl::Time NextDeadline() const;
  void OnTimers(absl::Time now);
  bool Finished(absl::Time now);
  void Connect();
  typename Stream::Callbacks CallbacksOfThisStream();
  void Disconnected();
  void OnWritten(bool ok);
  void TellReady() { options_.on_ready(registered_ && !draining_); }

  const ConnectionOptions options_;

  std::shared_ptr<Stream> stream_;  // null while there is no connection
  uint64_t stream_number_ = 0;
  int open_streams_ = 0;  // that gRPC still uses
  bool registered_ = false;
  bool writing_ = false;
  bool half_closed_ = false;
  std::function<void()> after_write_;
  std::deque<Outgoing> control_;
  absl::Duration heartbeat_interval_ = absl::Seconds(10);
  absl::Time next_heartbeat_ = absl::InfiniteFuture();
  absl::Time register_deadline_ = absl::InfiniteFuture();
  absl::Time next_connect_ = absl::InfinitePast();
  absl::Duration backoff_;
  std::mt19937_64 random_{std::random_device{}()};

  bool draining_ = false;
  absl::Time drain_deadline_ = absl::InfiniteFuture();  // hand back then
  absl::Time exit_deadline_ = absl::InfiniteFuture();   // end Run then, whatever the server has heard
  absl::Time close_time_ = absl::InfiniteFuture();      // end the writes then
};

extern template class LeaseAgent<v1::WorkerMessage, v1::ServerMessage>;
extern template class LeaseAgent<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_LEASE_AGENT_H_
