// One thread that does small things at their times.
#ifndef SVI_TESTS_BENCH_LOAD_TIMER_H_
#define SVI_TESTS_BENCH_LOAD_TIMER_H_

#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace svi::load {

// Thread-safe.
class Timer {
 public:
  Timer() : thread_([this] { Run(); }) {}
  ~Timer() { Stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void After(absl::Duration wait, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    tasks_.emplace(absl::Now() + wait, std::move(task));
  }
  // What is not done by then is not done. Not to be called by a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      stopped_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (!stopped_) {
      const absl::Time due = tasks_.empty() ? absl::InfiniteFuture() : tasks_.begin()->first;
      const auto earlier = [this, due]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopped_ || (!tasks_.empty() && tasks_.begin()->first < due);
      };
      if (mu_.AwaitWithDeadline(absl::Condition(&earlier), due)) continue;
      const auto first = tasks_.begin();
      const std::function<void()> task = std::move(first->second);
      tasks_.erase(first);
      mu_.Unlock();
      task();
      mu_.Lock();
    }
  }

  absl::Mutex mu_;
  std::multimap<absl::Time, std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_TIMER_H_
