// What was measured: a JSON object a line as it comes, and Markdown tables at the end.
#ifndef SVI_TESTS_BENCH_LOAD_REPORT_H_
#define SVI_TESTS_BENCH_LOAD_REPORT_H_

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace svi::load {

struct Row {
  std::string phase;
  std::string store;
  std::string load;  // what it is a figure of, e.g. "100 workers"
  std::vector<std::pair<std::string, double>> figures;
};

class Report {
 public:
  // `json`: where the lines go; null: nowhere.
  explicit Report(std::FILE* json) : json_(json) {}

  void Add(Row row);
  // A table for each phase.
  [[nodiscard]] std::string Markdown() const;

 private:
  std::FILE* const json_;
  std::vector<Row> rows_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_REPORT_H_
