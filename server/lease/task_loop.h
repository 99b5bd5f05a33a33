// A mailbox with one thread behind it.
#ifndef SVI_SERVER_LEASE_TASK_LOOP_H_
#define SVI_SERVER_LEASE_TASK_LOOP_H_

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/steady.h"

namespace svi::server {

// Thread-safe. Runs posted tasks in order, one at a time, on its own thread.
class TaskLoop {
 public:
  using Task = std::function<void()>;

  TaskLoop() = default;
  ~TaskLoop() { Stop(); }
  TaskLoop(const TaskLoop&) = delete;
  TaskLoop& operator=(const TaskLoop&) = delete;

  // `after_batch(ticked)` runs after each batch of tasks, and at least every `tick` with ticked = true.
  void Start(absl::Duration tick, std::function<void(bool ticked)> after_batch);
  // False, and the task is dropped, once the loop was stopped. Tasks may be posted before Start.
  [[nodiscard]] bool Post(Task task) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes no more tasks, finishes those it has, ends the thread. Idempotent; not to be called from a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run(absl::Duration tick, const std::function<void(bool)>& after_batch) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  SteadyCondition changed_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  absl::Mutex stop_mu_;  // makes Stop() idempotent between threads
  std::thread thread_ ABSL_GUARDED_BY(stop_mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_TASK_LOOP_H_
