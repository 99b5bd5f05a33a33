// Counts the bytes of tensors that this thread allocates on the CPU: what is alive, and the most that was.
#ifndef SVI_TESTS_WORKER_ENGINE_VAE_LIVE_BYTES_H_
#define SVI_TESTS_WORKER_ENGINE_VAE_LIVE_BYTES_H_

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace svi::engine {

class LiveBytes {
 public:
  int64_t now() const { return counter_->now; }
  int64_t peak() const { return counter_->peak; }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
      now += bytes;
      peak = std::max(peak, now);
    }
    bool memoryProfilingEnabled() const override { return true; }

    int64_t now = 0;
    int64_t peak = 0;
  };

  std::shared_ptr<Counter> counter_ = std::make_shared<Counter>();
  c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, counter_};
};

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_VAE_LIVE_BYTES_H_
