// What a worker remembers of the videos it worked on last, so that their next clip needs no inputs sent.
#ifndef SVI_WORKER_AGENT_WARM_CACHE_H_
#define SVI_WORKER_AGENT_WARM_CACHE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/types.h"

namespace svi::worker {

struct WarmInputs {
  std::string video;       // `videos/{id}`
  uint32_t next_clip = 0;  // the clip that `carry` is for
  std::shared_ptr<const engine::Picture> picture;
  std::shared_ptr<const std::string> carry;
};

// The most recent `capacity` videos. Not thread-safe: the agent's thread owns it.
class WarmCache {
 public:
  explicit WarmCache(size_t capacity) : capacity_(capacity) {}

  // Replaces what is there of the same video.
  void Put(WarmInputs inputs);
  // Null unless the video's carry is the one that this clip needs.
  [[nodiscard]] const WarmInputs* Find(const std::string& video, uint32_t clip) const;
  // Newest first.
  [[nodiscard]] std::vector<std::string> Videos() const;

 private:
  const size_t capacity_;
  std::deque<WarmInputs> entries_;  // newest first
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_WARM_CACHE_H_
