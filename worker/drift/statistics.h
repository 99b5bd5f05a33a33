// Statistics of one measure over scenes.
#ifndef SVI_WORKER_DRIFT_STATISTICS_H_
#define SVI_WORKER_DRIFT_STATISTICS_H_

#include <optional>
#include <vector>

namespace svi::drift {

struct Statistics {
  int count = 0;  // scenes that have the measure; the rest is 0 if there are none
  double median = 0, lower_quartile = 0, upper_quartile = 0;  // between neighbours: linear
  double mean = 0;
  double deviation = 0;  // standard deviation of the sample, n - 1; 0 for a single value
};

[[nodiscard]] Statistics StatisticsOf(std::vector<double> values);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_STATISTICS_H_
