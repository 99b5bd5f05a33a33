// SIGTERM and SIGINT as a question that work asks itself.
#ifndef SVI_WORKER_STOP_SIGNAL_H_
#define SVI_WORKER_STOP_SIGNAL_H_

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

namespace svi::worker {

// From the constructor on the first signal makes stopped() true, and a second one ends the process. Make it
// before any other thread: the signals' mask is inherited.
class StopSignal {
 public:
  // `on_first` is called on the thread that waits for signals.
  explicit StopSignal(std::function<void()> on_first = [] {});
  ~StopSignal();

  bool stopped() const { return stopped_; }

 private:
  void Run();

  const std::function<void()> on_first_;
  sigset_t signals_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_STOP_SIGNAL_H_
