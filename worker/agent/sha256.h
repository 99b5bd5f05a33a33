#ifndef SVI_WORKER_AGENT_SHA256_H_
#define SVI_WORKER_AGENT_SHA256_H_

#include <string>
#include <string_view>

namespace svi::worker {

// 32 bytes.
[[nodiscard]] std::string Sha256(std::string_view data);

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_SHA256_H_
