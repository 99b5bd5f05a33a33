#include "client/steady.h"

#include <algorithm>
#include <chrono>

namespace svi {
namespace {

// Sums of time points stay in range; whoever wakes once a day for nothing looks again.
constexpr absl::Duration kLongestWait = absl::Hours(24);

// What std::condition_variable_any wants of a mutex.
class Lockable {
 public:
  explicit Lockable(absl::Mutex* mu) : mu_(mu) {}
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu_->Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu_->Unlock(); }

 private:
  absl::Mutex* const mu_;
};

}  // namespace

absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

bool SteadyCondition::WaitUntil(absl::Mutex* mu, absl::Time deadline) {
  const absl::Duration left = deadline - SteadyNow();
  if (left <= absl::ZeroDuration()) return false;
  Lockable lockable(mu);
  changed_.wait_for(lockable, absl::ToChronoNanoseconds(std::min(left, kLongestWait)));
  return true;
}

}  // namespace svi
