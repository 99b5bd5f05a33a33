// What svi-worker eval-drift found, and its form as JSON.
#ifndef SVI_WORKER_DRIFT_REPORT_H_
#define SVI_WORKER_DRIFT_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/drift/direction.h"
#include "worker/drift/measures.h"
#include "worker/drift/statistics.h"

namespace svi::drift {

struct MeasuredClip {
  int clip = 1;  // 1 is the video's first
  ClipMeasures measures;
  ClipDrift drift;
  double static_share = 0;
  DominantMotion motion;
};

struct MeasuredScene {
  std::string picture;
  std::string prompt;
  uint64_t seed = 0;
  std::string direction;  // where the prompt says that things go, as DirectionName; empty: not known
  std::vector<MeasuredClip> clips;
  std::string error;  // why later clips are missing; empty: none are
};

struct DriftReport {
  std::string label;                // for tables and plots
  nlohmann::ordered_json settings;  // how the clips were made, for people
  std::vector<int> measured;        // clips, ascending; the first is 1
  std::vector<MeasuredScene> scenes;
};

// A number of a measured clip that is put together over scenes.
struct Measure {
  std::string group;  // in the report's summary: "measures", "drift" or "drift_size" (without its sign)
  std::string name;
  std::string title;  // in tables and plots; empty: not shown there
  int digits;         // after the point, in tables
  std::optional<double> (*value)(const MeasuredClip&);
};
[[nodiscard]] const std::vector<Measure>& Measures();

// Over the scenes that have this clip and a value.
[[nodiscard]] Statistics Summarize(const DriftReport& report, int clip, const Measure& measure);

// Whether any scene's prompt says where things go.
[[nodiscard]] bool SaysDirections(const DriftReport& report);

// How many scenes whose prompt says where things go went there in this clip, and of how many. Scenes that
// shall stand still count for themselves.
struct Followed {
  int moving = 0, moving_of = 0;
  int still = 0, still_of = 0;
};
[[nodiscard]] Followed CountFollowed(const DriftReport& report, int clip);

// Indented, keys in a fixed order: the same report gives the same bytes.
[[nodiscard]] std::string ToJson(const DriftReport& report);
// What ToJson wrote; the summary is not read, it follows from the scenes. INVALID_ARGUMENT: anything else.
[[nodiscard]] absl::StatusOr<DriftReport> ParseReport(std::string_view json);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_REPORT_H_
