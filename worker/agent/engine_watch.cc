#include "worker/agent/engine_watch.h"

#include <utility>

namespace svi::worker {

EngineWatch::EngineWatch(absl::Duration patience, std::function<void()> stuck)
    : patience_(patience), thread_([this, stuck = std::move(stuck)] { Run(stuck); }) {}

EngineWatch::~EngineWatch() {
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    changed_.Notify();
  }
  thread_.join();
}

void EngineWatch::SetDeadline(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  deadline_ = deadline;
  changed_.Notify();
}

void EngineWatch::Run(const std::function<void()>& stuck) {
  {
    absl::MutexLock lock(&mu_);
    while (!stopped_ && SteadyNow() < deadline_) {
      // Wakes when the deadline is another one.
      changed_.AwaitUntil(&mu_, deadline_, [this, was = deadline_]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopped_ || deadline_ != was;
      });
    }
    if (stopped_) return;
  }
  stuck();
}

}  // namespace svi::worker
