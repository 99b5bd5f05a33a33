#include "worker/agent/mailbox.h"

#include <utility>

namespace svi::worker {

void Mailbox::Post(std::function<void()> task) {
  absl::MutexLock lock(&mu_);
  tasks_.push_back(std::move(task));
  changed_.Notify();
}

bool Mailbox::RunOne(absl::Time deadline) {
  std::function<void()> task;
  {
    absl::MutexLock lock(&mu_);
    const auto has_task = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !tasks_.empty(); };
    if (!changed_.AwaitUntil(&mu_, deadline, has_task)) return false;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
  return true;
}

}  // namespace svi::worker
