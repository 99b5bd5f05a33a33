// The highest memory use of a stretch of work.
#ifndef SVI_ENGINE_TOOLS_BENCH_MEMORY_H_
#define SVI_ENGINE_TOOLS_BENCH_MEMORY_H_

#include <ATen/ATen.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace svi::engine {

// From its construction on: of a GPU what is allocated there, otherwise what this process has resident,
// mapped files included. The kernel keeps the resident peak if it lets us reset it; else, and on a GPU, a
// thread looks every few milliseconds and may miss a short peak.
class PeakMemory {
 public:
  explicit PeakMemory(at::Device device);
  ~PeakMemory();
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;

  // So far.
  uint64_t Bytes();

 private:
  void Look();

  const at::Device device_;
  const bool kernel_counts_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> highest_{0};
  std::thread thread_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_BENCH_MEMORY_H_
