// SIGTERM and SIGINT for a process that has something to finish.
#ifndef SVI_WORKER_SIGNAL_THREAD_H_
#define SVI_WORKER_SIGNAL_THREAD_H_

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace svi::worker {

// Waits for both signals on a thread of its own. Before there is a handler, either ends the process with
// success, since nothing is held yet. Must be made before any other thread: the signals are blocked in those
// that come later.
class SignalThread {
 public:
  SignalThread();
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

  // `again`: it is not the first signal. Called on the signal thread; when this returns, an earlier handler
  // is not running. Null: none.
  using Handler = std::function<void(bool again)>;
  void SetHandler(Handler handler) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();

  sigset_t signals_;
  std::atomic<bool> stop_ = false;
  absl::Mutex mu_;
  Handler handler_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_SIGNAL_THREAD_H_
