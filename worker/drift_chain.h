// One scene's chain of clips, measured.
#ifndef SVI_WORKER_DRIFT_CHAIN_H_
#define SVI_WORKER_DRIFT_CHAIN_H_

#include <filesystem>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "svi/v1/resources.pb.h"
#include "worker/drift/report.h"
#include "worker/drift_scenes.h"

namespace svi::worker {

struct DriftChainOptions {
  int clips = 60;
  std::vector<int> measured;           // ascending, 1..clips, the first is 1
  std::filesystem::path frames_dir;    // takes first and last frame of the measured clips as PNG; empty: none
  std::function<void(int clip)> made;  // after each clip; 1 is the first
};

// Makes the scene's clips with what `spec` says of size and sampling, and measures those that are asked for.
// A model whose clip breaks off (INTERNAL: its numbers are not finite any more) ends the scene, not the
// evaluation: MeasuredScene::error says so. Any other error is returned.
[[nodiscard]] absl::StatusOr<drift::MeasuredScene> MeasureScene(engine::Engine& engine,
                                                                const v1::VideoSpec& spec,
                                                                const DriftScene& scene, int scene_index,
                                                                const DriftChainOptions& options);

}  // namespace svi::worker

#endif  // SVI_WORKER_DRIFT_CHAIN_H_
