// The scenes that svi-worker eval-drift goes through.
#ifndef SVI_WORKER_DRIFT_SCENES_H_
#define SVI_WORKER_DRIFT_SCENES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace svi::worker {

struct DriftScene {
  std::string name;               // the picture's, as the list has it
  std::filesystem::path picture;  // where it is
  std::string prompt;             // of all clips
  uint64_t seed = 0;              // of clip 0
  std::string direction;          // left, right, up, down, still, or empty: not said
};

// JSON lines: {"picture": FILE, "prompt": TEXT, "seed": N, "direction": WORD}; the picture relative to the
// list, the last two need not be there; other keys are left alone, blank lines too. At most `limit` from the
// start; 0: all. INVALID_ARGUMENT names file, line and what is wrong with it; also if there is no scene at
// all.
[[nodiscard]] absl::StatusOr<std::vector<DriftScene>> ReadDriftScenes(const std::filesystem::path& list,
                                                                      int64_t limit);

}  // namespace svi::worker

#endif  // SVI_WORKER_DRIFT_SCENES_H_
