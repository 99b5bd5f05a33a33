// Reports side by side, as an SVG plot.
#ifndef SVI_WORKER_DRIFT_PLOT_H_
#define SVI_WORKER_DRIFT_PLOT_H_

#include <string>
#include <vector>

#include "worker/drift/report.h"

namespace svi::drift {

// One panel a measure: a line a report, the median over scenes at each measured clip, in a band from the
// lower to the upper quartile. Clips are on a logarithmic scale, since what is measured usually is (1, 5, 10,
// 20, 60).
[[nodiscard]] std::string SvgPlot(const std::vector<DriftReport>& reports);

// Round numbers (1, 2 or 5 times a power of ten apart), about `count` of them, that span low..high; the first
// is at most `low`, the last at least `high`.
[[nodiscard]] std::vector<double> AxisTicks(double low, double high, int count);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_PLOT_H_
