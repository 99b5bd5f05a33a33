#include "server/lease/worker_stream.h"

#include <utility>

namespace svi::server {

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::Open() {
  absl::MutexLock lock(&mu_);
  self_ = this->shared_from_this();
  last_read_ = clock_();
  reading_ = true;
  this->StartRead(&incoming_);
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::ReadNext() {
  absl::MutexLock lock(&mu_);
  if (closing_ || reading_) return;
  // The silence of the peer starts when we listen again.
  last_read_ = clock_();
  reading_ = true;
  incoming_.Clear();
  this->StartRead(&incoming_);
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::Send(Outgoing message) {
  absl::MutexLock lock(&mu_);
  if (closing_) return;
  if (outgoing_.size() >= kMaxOutgoing) {
    CloseLocked({grpc::StatusCode::RESOURCE_EXHAUSTED, "the worker does not read what it is sent"});
    if (context_ != nullptr) context_->TryCancel();
    return;
  }
  outgoing_.push_back(std::move(message));
  if (writing_) return;
  writing_ = true;
  this->StartWrite(&outgoing_.front());
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::Close(const grpc::Status& status, bool abort) {
  absl::MutexLock lock(&mu_);
  CloseLocked(status);
  if (abort && writing_ && context_ != nullptr) context_->TryCancel();
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::CloseLocked(const grpc::Status& status) {
  if (closing_) return;
  closing_ = true;
  close_status_ = status;
  if (writing_) return;  // OnWriteDone finishes
  finished_ = true;
  this->Finish(close_status_);
}

template <typename Incoming, typename Outgoing>
absl::Time WorkerStreamOf<Incoming, Outgoing>::last_sign_of_life() const {
  absl::MutexLock lock(&mu_);
  return reading_ ? last_read_ : clock_();
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::OnReadDone(bool ok) {
  auto self = this->shared_from_this();
  {
    absl::MutexLock lock(&mu_);
    reading_ = false;
    last_read_ = clock_();
    if (!ok) CloseLocked(grpc::Status::OK);
  }
  if (!ok) {
    events_->StreamEnded(std::move(self));
  } else if (!events_->MessageRead(self, std::move(incoming_))) {
    Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
  }
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::OnWriteDone(bool ok) {
  bool drained = false;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    outgoing_.pop_front();
    if (!ok) CloseLocked(grpc::Status::OK);  // the read fails too, and reports the end
    if (closing_) {
      if (!finished_) {
        finished_ = true;
        this->Finish(close_status_);
      }
      return;
    }
    drained = outgoing_.empty();
    if (!drained) {
      writing_ = true;
      this->StartWrite(&outgoing_.front());
    }
  }
  if (drained && !events_->OutgoingDrained(this->shared_from_this())) {
    Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
  }
}

template <typename Incoming, typename Outgoing>
void WorkerStreamOf<Incoming, Outgoing>::OnDone() {
  std::shared_ptr<WorkerStreamOf> self;
  absl::MutexLock lock(&mu_);
  context_ = nullptr;
  outgoing_.clear();
  self = std::move(self_);
}

template class WorkerStreamOf<v1::WorkerMessage, v1::ServerMessage>;
template class WorkerStreamOf<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::server
