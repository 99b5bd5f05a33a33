// Notices that the engine hangs, e.g. in a kernel that never ends.
#ifndef SVI_WORKER_AGENT_ENGINE_WATCH_H_
#define SVI_WORKER_AGENT_ENGINE_WATCH_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/steady.h"

namespace svi::worker {

// Thread-safe.
class EngineWatch {
 public:
  // `stuck` is called once, on a thread of its own, when the engine has work and has given no sign of life
  // for `patience`.
  EngineWatch(absl::Duration patience, std::function<void()> stuck);
  ~EngineWatch();
  EngineWatch(const EngineWatch&) = delete;
  EngineWatch& operator=(const EngineWatch&) = delete;

  // It begins, or goes on.
  void Alive() { SetDeadline(SteadyNow() + patience_); }
  // It has ended, or waits for something else.
  void Idle() { SetDeadline(absl::InfiniteFuture()); }

 private:
  void SetDeadline(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);
  void Run(const std::function<void()>& stuck) ABSL_LOCKS_EXCLUDED(mu_);

  const absl::Duration patience_;
  absl::Mutex mu_;
  SteadyCondition changed_;
  absl::Time deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_ENGINE_WATCH_H_
