// A clock that nobody can set. Deadlines and intervals go by it; absl::Now() is only for what time it is.
#ifndef SVI_CLIENT_STEADY_H_
#define SVI_CLIENT_STEADY_H_

#include <condition_variable>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace svi {

// Of this clock; where it starts says nothing. Goes on at one second a second while the system's is set.
absl::Time SteadyNow();

// Waits for a change of what an absl::Mutex guards, with a deadline on SteadyNow's clock. absl's own waits
// have theirs on the system's: they last for hours more when that is set back by hours.
class SteadyCondition {
 public:
  // Whoever may wait looks again.
  void Notify() { changed_.notify_all(); }
  // Until `done()`, which is called with `mu` held, or the deadline; returns done(). Infinite ones are fine.
  template <typename Done>
  bool AwaitUntil(absl::Mutex* mu, absl::Time deadline, Done done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    while (!done()) {
      if (!WaitUntil(mu, deadline)) return done();
    }
    return true;
  }
  template <typename Done>
  bool AwaitFor(absl::Mutex* mu, absl::Duration time, Done done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return AwaitUntil(mu, SteadyNow() + time, done);
  }

 private:
  // False: the deadline has passed.
  bool WaitUntil(absl::Mutex* mu, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  std::condition_variable_any changed_;
};

}  // namespace svi

#endif  // SVI_CLIENT_STEADY_H_
