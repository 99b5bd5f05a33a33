#include "worker/agent/warm_cache.h"

#include <algorithm>
#include <utility>

namespace svi::worker {

void WarmCache::Put(WarmInputs inputs) {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [&](const WarmInputs& entry) { return entry.video == inputs.video; }),
                 entries_.end());
  entries_.push_front(std::move(inputs));
  if (entries_.size() > capacity_) entries_.pop_back();
}

const WarmInputs* WarmCache::Find(const std::string& video, uint32_t clip) const {
  for (const WarmInputs& entry : entries_) {
    if (entry.video == video && entry.next_clip == clip) return &entry;
  }
  return nullptr;
}

std::vector<std::string> WarmCache::Videos() const {
  std::vector<std::string> videos;
  for (const WarmInputs& entry : entries_) videos.push_back(entry.video);
  return videos;
}

}  // namespace svi::worker
