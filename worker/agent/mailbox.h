// How other threads speak to the agent's thread.
#ifndef SVI_WORKER_AGENT_MAILBOX_H_
#define SVI_WORKER_AGENT_MAILBOX_H_

#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/steady.h"

namespace svi::worker {

// Thread-safe. Functions run in the order they were posted, on the thread that calls RunOne.
class Mailbox {
 public:
  void Post(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_);
  // Runs one task; waits for it until `deadline` (of SteadyNow). False: there was none.
  bool RunOne(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  SteadyCondition changed_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_MAILBOX_H_
