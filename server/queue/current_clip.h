// What the scheduling policy sees of the queue: clips that wait or are being made, and what was made of late.
#ifndef SVI_SERVER_QUEUE_CURRENT_CLIP_H_
#define SVI_SERVER_QUEUE_CURRENT_CLIP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace svi::server {

// The current clip of a QUEUED or RUNNING video (see states.h); a video has one at most.
struct CurrentClip {
  std::string video_id;
  std::string tenant;
  uint32_t clip_index = 0;
  uint32_t clips_total = 0;    // of the video, by the prompts known now
  bool more_may_come = false;  // the video is open-ended and not finished
  int32_t priority = 0;        // -100..100, higher first
  absl::Time ready_since;      // when this clip became leasable
  absl::Time video_created;
  std::vector<std::string> loras;  // names that it needs, each once, sorted
  // Of its lease; empty while it waits.
  std::string worker;  // `workers/{id}`
  absl::Time leased_at = absl::InfinitePast();

  [[nodiscard]] bool leased() const { return !worker.empty(); }
};

// A finished clip: the time that a worker spent on it.
struct ServedClip {
  std::string video_id;
  std::string tenant;
  absl::Time leased_at;
  absl::Time done_at;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_CURRENT_CLIP_H_
