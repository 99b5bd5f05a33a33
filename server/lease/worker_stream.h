// One worker's stream, gRPC's side of it: reads one message at a time, writes from a bounded queue.
#ifndef SVI_SERVER_LEASE_WORKER_STREAM_H_
#define SVI_SERVER_LEASE_WORKER_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "svi/v1/worker_service.grpc.pb.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

template <typename Incoming, typename Outgoing>
class WorkerStreamOf;

// What a stream reports. Called on gRPC's threads: must return at once. False: nobody listens any more, and
// the stream ends itself with UNAVAILABLE.
template <typename Incoming, typename Outgoing>
class StreamEvents {
 public:
  using Stream = WorkerStreamOf<Incoming, Outgoing>;

  virtual ~StreamEvents() = default;
  // The next message is read only after ReadNext().
  [[nodiscard]] virtual bool MessageRead(std::shared_ptr<Stream> stream, Incoming message) = 0;
  // Everything given to Send() is written: there is room for bulk data.
  [[nodiscard]] virtual bool OutgoingDrained(std::shared_ptr<Stream> stream) = 0;
  // The peer is gone or has ended its side; nothing more will be read.
  virtual void StreamEnded(std::shared_ptr<Stream> stream) = 0;
};

// Thread-safe. Keeps itself alive from Open() until gRPC is done with it; others may hold it longer, and then
// every call is a no-op.
template <typename Incoming, typename Outgoing>
class WorkerStreamOf final : public grpc::ServerBidiReactor<Incoming, Outgoing>,
                             public std::enable_shared_from_this<WorkerStreamOf<Incoming, Outgoing>> {
 public:
  // Messages that may wait to be written. Bulk data is sent only when the queue is empty, so only a peer that
  // has stopped reading ever gets here.
  static constexpr size_t kMaxOutgoing = 64;

  using Events = StreamEvents<Incoming, Outgoing>;

  WorkerStreamOf(grpc::CallbackServerContext* context, Events* events, std::function<absl::Time()> clock)
      : events_(events), clock_(std::move(clock)), context_(context) {}

  // Starts reading.
  void Open() ABSL_LOCKS_EXCLUDED(mu_);
  // The message given to MessageRead is dealt with: read the next one.
  void ReadNext() ABSL_LOCKS_EXCLUDED(mu_);
  // Queues a message. A peer that lets kMaxOutgoing of them pile up loses the stream.
  void Send(Outgoing message) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the stream with `status` after the write in flight; what is queued behind it is dropped. `abort`:
  // the peer is likely gone, so do not wait for a write that cannot end.
  void Close(const grpc::Status& status, bool abort = false) ABSL_LOCKS_EXCLUDED(mu_);

  // When the peer was last known to be alive. Time in which the server itself did not read (it was busy with
  // a message of this stream) does not count as silence.
  [[nodiscard]] absl::Time last_sign_of_life() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override ABSL_LOCKS_EXCLUDED(mu_);
  void CloseLocked(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Events* const events_;
  const std::function<absl::Time()> clock_;
  Incoming incoming_;  // gRPC's between StartRead and OnReadDone

  mutable absl::Mutex mu_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mu_);  // null once gRPC is done
  std::shared_ptr<WorkerStreamOf> self_ ABSL_GUARDED_BY(mu_);
  std::deque<Outgoing> outgoing_ ABSL_GUARDED_BY(mu_);  // front: in flight, if writing_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;   // Close was called
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // Finish was called
  grpc::Status close_status_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time last_read_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

using WorkerStream = WorkerStreamOf<v1::WorkerMessage, v1::ServerMessage>;
using TrainerStream = WorkerStreamOf<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_WORKER_STREAM_H_
