#include "worker/drift/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace svi::drift {
namespace {

// `sorted` must not be empty. At share 0 the first, at 1 the last.
double Quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Statistics StatisticsOf(std::vector<double> values) {
  Statistics statistics;
  statistics.count = static_cast<int>(values.size());
  if (values.empty()) return statistics;
  std::sort(values.begin(), values.end());
  statistics.median = Quantile(values, 0.5);
  statistics.lower_quartile = Quantile(values, 0.25);
  statistics.upper_quartile = Quantile(values, 0.75);
  const double count = static_cast<double>(values.size());
  statistics.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() > 1) {
    double squares = 0;
    for (const double value : values) squares += (value - statistics.mean) * (value - statistics.mean);
    statistics.deviation = std::sqrt(squares / (count - 1));
  }
  return statistics;
}

}  // namespace svi::drift
