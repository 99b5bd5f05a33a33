#include "server/rpc/stream_reactor.h"

#include <utility>

#include "server/rpc/status.h"

namespace svi::server {

StreamReactor* StreamReactor::Start(std::unique_ptr<MessageSource> source, Executor* executor,
                                    Executor* first, size_t first_limit) {
  std::shared_ptr<StreamReactor> reactor(new StreamReactor(std::move(source), executor));
  reactor->weak_ = reactor;
  {
    absl::MutexLock lock(&reactor->mu_);
    reactor->self_ = reactor;
    reactor->busy_ = true;
  }
  reactor->source_->Start([weak = reactor->weak_] {
    if (const auto self = weak.lock()) self->Wake();
  });
  const auto step = [reactor] { reactor->Step(); };
  if (first == nullptr) {
    executor->Submit(step);
  } else if (!first->TrySubmit(step, first_limit)) {
    reactor->End(TooBusy("too many requests of this kind are being worked on; try again"));
  }
  return reactor.get();
}

void StreamReactor::Wake() {
  {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    if (busy_) {
      again_ = true;
      return;
    }
    busy_ = true;
  }
  executor_->Submit([self = weak_.lock()] {
    if (self) self->Step();
  });
}

void StreamReactor::Step() {
  {
    absl::MutexLock lock(&mu_);
    again_ = false;  // what woke us is seen below
  }
  if (cancelled_.load()) return End(absl::CancelledError("the caller went away"));
  absl::Status status;
  switch (source_->Produce(&message_, &status)) {
    case MessageSource::Next::kMessage:
      StartWrite(&message_);  // still busy_, until OnWriteDone
      return;
    case MessageSource::Next::kDone:
      return End(status);
    case MessageSource::Next::kWait:
      break;
  }
  {
    absl::MutexLock lock(&mu_);
    busy_ = false;
    if (!again_) return;
  }
  Wake();
}

void StreamReactor::End(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  Finish(ToGrpcStatus(status));
}

void StreamReactor::OnWriteDone(bool ok) {
  if (!ok) cancelled_.store(true);
  {
    absl::MutexLock lock(&mu_);
    busy_ = false;
  }
  Wake();
}

void StreamReactor::OnCancel() {
  cancelled_.store(true);
  Wake();
}

void StreamReactor::OnDone() {
  std::shared_ptr<StreamReactor> last;  // let go of after the lock is
  {
    absl::MutexLock lock(&mu_);
    last = std::move(self_);
  }
}

}  // namespace svi::server
