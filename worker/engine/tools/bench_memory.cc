#include "worker/engine/tools/bench_memory.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <string>

#include "worker/engine/nn/device.h"

namespace svi::engine {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};

// A line of /proc/self/status, which are in KiB; 0 if there is none.
uint64_t StatusBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string name;
  uint64_t kib = 0;
  while (status >> name) {
    if (name == field + ":" && status >> kib) return kib * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// proc(5): writing 5 sets the peak, VmHWM, to what is resident now.
bool ResetKernelPeak() {
  std::ofstream clear("/proc/self/clear_refs");
  return static_cast<bool>((clear << "5").flush());
}

}  // namespace

PeakMemory::PeakMemory(at::Device device)
    : device_(device), kernel_counts_(!device.is_cuda() && ResetKernelPeak()) {
  if (kernel_counts_) return;
  thread_ = std::thread([this] {
    while (!done_) {
      Look();
      std::this_thread::sleep_for(kBetweenLooks);
    }
  });
}

PeakMemory::~PeakMemory() {
  done_ = true;
  if (thread_.joinable()) thread_.join();
}

uint64_t PeakMemory::Bytes() {
  if (kernel_counts_) return StatusBytes("VmHWM");
  Look();
  return highest_;
}

void PeakMemory::Look() {
  const uint64_t now = device_.is_cuda() ? DeviceBytesAllocated(device_) : StatusBytes("VmRSS");
  uint64_t seen = highest_;
  while (now > seen && !highest_.compare_exchange_weak(seen, now)) {
  }
}

}  // namespace svi::engine
