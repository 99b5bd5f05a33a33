#ifndef SVI_WORKER_AGENT_MEMORY_H_
#define SVI_WORKER_AGENT_MEMORY_H_

#include <cstdint>

namespace svi::worker {

// Resident memory of this process, bytes; 0 where /proc is not there.
[[nodiscard]] uint64_t ResidentBytes();

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_MEMORY_H_
