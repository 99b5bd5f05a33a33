#include "worker/agent/lease_agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "client/steady.h"

namespace svi::worker {
namespace {

// After a hand-back, and after the last message: how long the server may take.
constexpr absl::Duration kGoodbye = absl::Seconds(5);
// Between the news that no more work is wanted and the end of the stream: a lease that crosses it is handed
// back.
constexpr absl::Duration kLinger = absl::Milliseconds(200);
constexpr absl::Duration kRegisterTimeout = absl::Seconds(20);
constexpr double kBackoffFactor = 1.6;
constexpr double kJitter = 0.2;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

template <typename Outgoing, typename Incoming>
LeaseAgent<Outgoing, Incoming>::LeaseAgent(ConnectionOptions options)
    : options_(std::move(options)), backoff_(options_.min_backoff) {}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::Run() {
  while (true) {
    const absl::Time now = SteadyNow();
    OnTimers(now);
    if (Finished(now)) break;
    mailbox_->RunOne(NextDeadline());
  }
  if (stream_) Disconnected();
  const absl::Time deadline = SteadyNow() + kGoodbye;
  while (open_streams_ > 0 && mailbox_->RunOne(deadline)) {
  }
  Abandon();
  spdlog::info("stopped");
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::Drain() {
  mailbox_->Post([this] { OnDrain(false); });
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::HandBack() {
  mailbox_->Post([this] { OnDrain(true); });
}

template <typename Outgoing, typename Incoming>
absl::Time LeaseAgent<Outgoing, Incoming>::NextDeadline() const {
  absl::Time next =
      std::min({drain_deadline_, exit_deadline_, close_time_, next_heartbeat_, register_deadline_});
  if (!stream_) next = std::min(next, next_connect_);
  return next;
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::OnTimers(absl::Time now) {
  if (now >= drain_deadline_) {
    drain_deadline_ = absl::InfiniteFuture();
    exit_deadline_ = now + kGoodbye;
    HandBackLease();
  }
  if (now >= register_deadline_ && stream_) {
    spdlog::warn("the server does not answer");
    Disconnected();
  }
  if (!stream_ && now >= next_connect_ && !(draining_ && !has_work())) Connect();
  if (now >= next_heartbeat_) SendHeartbeat();
  if (now >= close_time_) {
    close_time_ = absl::InfiniteFuture();
    if (stream_ && !half_closed_ && !writing_) {
      half_closed_ = true;
      stream_->HalfClose();
    }
  }
}

// Draining, nothing to wait for, and the server has heard all there is to say or cannot be reached.
template <typename Outgoing, typename Incoming>
bool LeaseAgent<Outgoing, Incoming>::Finished(absl::Time now) {
  if (!draining_) return false;
  if (now >= exit_deadline_) return true;
  if (has_work()) return false;
  if (!stream_ || !registered_) return true;
  if (exit_deadline_ == absl::InfiniteFuture()) exit_deadline_ = now + kGoodbye;
  const bool all_said = !writing_ && control_.empty();
  if (all_said && !half_closed_ && close_time_ == absl::InfiniteFuture()) close_time_ = now + kLinger;
  return false;
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::OnDrain(bool hand_back) {
  if (!draining_) {
    draining_ = true;
    TellReady();
    drain_deadline_ = SteadyNow() + options_.drain_timeout;
    OnDraining();
    if (registered_) SendHeartbeat();
  }
  if (hand_back) drain_deadline_ = absl::InfinitePast();
}

template <typename Outgoing, typename Incoming>
typename LeaseAgent<Outgoing, Incoming>::Stream::Callbacks
LeaseAgent<Outgoing, Incoming>::CallbacksOfThisStream() {
  typename Stream::Callbacks callbacks;
  const auto post = [mailbox = mailbox_](std::function<void()> task) { mailbox->Post(std::move(task)); };
  // Runs on the agent's thread, unless the connection is another by then.
  const auto current = [this, number = stream_number_] { return stream_ && number == stream_number_; };
  callbacks.message = [this, post, current](Incoming message) {
    // Wrapped once more, since std::function wants to copy.
    auto shared = std::make_shared<Incoming>(std::move(message));
    post([this, current, shared] {
      if (!current()) return;
      OnMessage(std::move(*shared));
      // Only now: what is not handled yet stays with the sender.
      if (current()) stream_->Read();
    });
  };
  callbacks.ended = [this, post, current] {
    post([this, current] {
      if (current()) Disconnected();
    });
  };
  callbacks.written = [this, post, current](bool ok) {
    post([this, current, ok] {
      if (current()) OnWritten(ok);
    });
  };
  callbacks.closed = [this, post](const grpc::Status& status, std::shared_ptr<Stream> stream) {
    post([this, status, stream = std::move(stream)] {
      --open_streams_;
      if (!status.ok() && status.error_code() != grpc::StatusCode::CANCELLED) {
        spdlog::warn("connection: {}", status.error_message());
      }
    });
  };
  return callbacks;
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::Connect() {
  ++stream_number_;
  registered_ = half_closed_ = false;
  control_.clear();
  ++open_streams_;
  stream_ = Stream::Start(options_.endpoint, CallbacksOfThisStream());
  stream_->Read();
  register_deadline_ = SteadyNow() + kRegisterTimeout;
  writing_ = true;
  after_write_ = nullptr;
  stream_->Write(Hello());
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::Disconnected() {
  stream_->Release();
  stream_.reset();
  if (registered_) spdlog::warn("disconnected");
  registered_ = writing_ = half_closed_ = false;
  after_write_ = nullptr;
  control_.clear();
  TellReady();
  SetConnected(false);
  next_heartbeat_ = register_deadline_ = close_time_ = absl::InfiniteFuture();
  OnDisconnected();
  const double jitter = std::uniform_real_distribution<double>(1 - kJitter, 1 + kJitter)(random_);
  next_connect_ = SteadyNow() + backoff_ * jitter;
  backoff_ = std::min(backoff_ * kBackoffFactor, options_.max_backoff);
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::OnRegistered(const google::protobuf::Duration& heartbeat_interval) {
  registered_ = true;
  register_deadline_ = absl::InfiniteFuture();
  backoff_ = options_.min_backoff;
  heartbeat_interval_ = std::max(FromProto(heartbeat_interval), absl::Milliseconds(10));
  TellReady();
  SetConnected(true);
  spdlog::info("registered with {} as {}", options_.endpoint.server, options_.worker_id);
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::SendHeartbeat() {
  next_heartbeat_ = SteadyNow() + heartbeat_interval_;
  Send(Heartbeat());
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::Send(Outgoing message) {
  if (!stream_ || !registered_ || half_closed_) return;
  control_.push_back(std::move(message));
  PumpWrites();
}

// Control messages first, so that a long upload never delays a heartbeat.
template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::PumpWrites() {
  if (!stream_ || !registered_ || writing_ || half_closed_) return;
  after_write_ = nullptr;
  std::optional<Outgoing> message;
  if (!control_.empty()) {
    message = std::move(control_.front());
    control_.pop_front();
  } else {
    message = NextData();
  }
  if (!message) return;
  writing_ = true;
  stream_->Write(*std::move(message));
}

template <typename Outgoing, typename Incoming>
void LeaseAgent<Outgoing, Incoming>::OnWritten(bool ok) {
  writing_ = false;
  if (!ok) return;  // the read that is under way finds the end as well
  if (const std::function<void()> after = std::exchange(after_write_, nullptr)) after();
  PumpWrites();
}

template class LeaseAgent<v1::WorkerMessage, v1::ServerMessage>;
template class LeaseAgent<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::worker
