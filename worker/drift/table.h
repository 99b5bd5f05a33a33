// Reports side by side, as Markdown.
#ifndef SVI_WORKER_DRIFT_TABLE_H_
#define SVI_WORKER_DRIFT_TABLE_H_

#include <string>
#include <vector>

#include "worker/drift/report.h"

namespace svi::drift {

// One table a measure: a row a report, a column a measured clip, "median (lower quartile … upper quartile)"
// in the cells. Then how often the prompt's direction was followed, if the scenes say one.
[[nodiscard]] std::string MarkdownTables(const std::vector<DriftReport>& reports);

// All clips that any of the reports has, ascending.
[[nodiscard]] std::vector<int> AllMeasured(const std::vector<DriftReport>& reports);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_TABLE_H_
