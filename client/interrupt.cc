#include "client/interrupt.h"

namespace svi::client {

void Interrupt::Trigger() {
  absl::MutexLock lock(&mutex_);
  triggered_ = true;
  changed_.Notify();
  for (grpc::ClientContext* call : calls_) call->TryCancel();
}

bool Interrupt::triggered() const {
  absl::MutexLock lock(&mutex_);
  return triggered_;
}

bool Interrupt::SleepFor(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  const auto triggered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return triggered_; };
  return !changed_.AwaitFor(&mutex_, duration, triggered);
}

void Interrupt::Register(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  calls_.insert(context);
  if (triggered_) context->TryCancel();
}

void Interrupt::Unregister(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(context);
}

}  // namespace svi::client
