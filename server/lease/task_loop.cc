#include "server/lease/task_loop.h"

#include <utility>

namespace svi::server {

void TaskLoop::Start(absl::Duration tick, std::function<void(bool)> after_batch) {
  absl::MutexLock lock(&stop_mu_);
  thread_ = std::thread([this, tick, after_batch = std::move(after_batch)] { Run(tick, after_batch); });
}

bool TaskLoop::Post(Task task) {
  absl::MutexLock lock(&mu_);
  if (stopped_) return false;
  tasks_.push_back(std::move(task));
  changed_.Notify();
  return true;
}

void TaskLoop::Stop() {
  absl::MutexLock stop_lock(&stop_mu_);
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    changed_.Notify();
  }
  if (thread_.joinable()) thread_.join();
}

void TaskLoop::Run(absl::Duration tick, const std::function<void(bool)>& after_batch) {
  absl::Time next_tick = SteadyNow() + tick;
  for (;;) {
    std::deque<Task> batch;
    bool stopped = false;
    {
      absl::MutexLock lock(&mu_);
      const auto awake = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || !tasks_.empty(); };
      changed_.AwaitUntil(&mu_, next_tick, awake);
      batch.swap(tasks_);
      stopped = stopped_;
    }
    for (Task& task : batch) task();
    if (stopped && batch.empty()) return;
    const absl::Time now = SteadyNow();
    const bool ticked = now >= next_tick;
    if (ticked) next_tick = now + tick;
    after_batch(ticked);
  }
}

}  // namespace svi::server
