#include "worker/agent/mailbox.h"

#include <utility>

namespace svi::worker {

void Mailbox::Post(std::function<void()> task) {
  absl::MutexLock lock(&mu_);
  tasks_.push_back(std::move(task));
}

bool Mailbox::RunOne(absl::Time deadline) {
  std::function<void()> task;
  {
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithDeadline(absl::Condition(this, &Mailbox::HasTask), deadline)) return false;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
  return true;
}

}  // namespace svi::worker
