#include "worker/agent/memory.h"

#include <unistd.h>

#include <fstream>

namespace svi::worker {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace svi::worker
