// Ctrl-C for blocking calls: cancels the RPCs under way and wakes back-off waits.
#ifndef SVI_CLIENT_INTERRUPT_H_
#define SVI_CLIENT_INTERRUPT_H_

#include <grpcpp/client_context.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/steady.h"

namespace svi::client {

// Thread-safe. Once triggered it stays so.
class Interrupt {
 public:
  // Cancels every registered call, now and later.
  void Trigger();
  bool triggered() const;
  // Returns false, at once, when triggered.
  [[nodiscard]] bool SleepFor(absl::Duration duration);

 private:
  friend class CallContext;
  void Register(grpc::ClientContext* context);
  void Unregister(grpc::ClientContext* context);

  mutable absl::Mutex mutex_;
  SteadyCondition changed_;
  bool triggered_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
};

// The context of one call, cancelled by the interrupt while it lives.
class CallContext {
 public:
  explicit CallContext(Interrupt* interrupt) : interrupt_(interrupt) { interrupt_->Register(&context_); }
  ~CallContext() { interrupt_->Unregister(&context_); }
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;
  grpc::ClientContext* get() { return &context_; }

 private:
  Interrupt* interrupt_;
  grpc::ClientContext context_;
};

}  // namespace svi::client

#endif  // SVI_CLIENT_INTERRUPT_H_
