// What svi-worker bench runs.
#ifndef SVI_ENGINE_TOOLS_BENCH_PARTS_H_
#define SVI_ENGINE_TOOLS_BENCH_PARTS_H_

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/bench.h"

namespace svi::engine {

// One line of the report.
struct BenchRow {
  std::string name;
  std::string shape;
  std::function<absl::Status()> run;      // what is timed
  std::function<absl::Status()> prepare;  // before each run, not timed; may be empty
};

// A part of the model in memory, for as long as its rows live.
struct LoadedBenchPart {
  std::vector<BenchRow> rows;
  std::function<absl::Status()> warm_up;  // pages the weights in
};

struct BenchPartMaker {
  std::string name;
  std::vector<std::string> rows;                          // names of those that it loads
  std::function<absl::StatusOr<LoadedBenchPart>()> load;  // may throw
};

// Those that the options ask for, by their own names or by those of single rows, in the order of
// BenchOptions::parts' comment. INVALID_ARGUMENT: an option
// out of range.
absl::StatusOr<std::vector<BenchPartMaker>> BenchParts(const BenchOptions& options, at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_BENCH_PARTS_H_
