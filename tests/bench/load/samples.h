// Times that were measured, and what they come to.
#ifndef SVI_TESTS_BENCH_LOAD_SAMPLES_H_
#define SVI_TESTS_BENCH_LOAD_SAMPLES_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace svi::load {

// Thread-safe.
class Samples {
 public:
  void Add(absl::Duration sample) {
    absl::MutexLock lock(&mu_);
    samples_.push_back(sample);
  }
  [[nodiscard]] size_t size() const {
    absl::MutexLock lock(&mu_);
    return samples_.size();
  }
  void Clear() {
    absl::MutexLock lock(&mu_);
    samples_.clear();
  }
  // In milliseconds; `share` 0.5 is the median. -1: there are none.
  [[nodiscard]] double Millis(double share) const {
    absl::MutexLock lock(&mu_);
    if (samples_.empty()) return -1;
    std::vector<absl::Duration> sorted = samples_;
    const auto place =
        sorted.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
    std::nth_element(sorted.begin(), place, sorted.end());
    return absl::ToDoubleMilliseconds(*place);
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<absl::Duration> samples_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_SAMPLES_H_
