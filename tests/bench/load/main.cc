// svi-load: how much one svi-server takes, and how that grows. See tests/bench/README.md.
#include <gtest/gtest.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/flags.h"
#include "tests/bench/load/load_worker.h"
#include "tests/bench/load/phases.h"

namespace svi::load {
namespace {

using Measure = void (*)(const Bench&);

const std::vector<std::pair<std::string, Measure>>& Phases() {
  static const std::vector<std::pair<std::string, Measure>> phases = {
      {"creates", MeasureCreates}, {"idle", MeasureIdle},         {"queue", MeasureDepth},
      {"workers", MeasureWorkers}, {"watchers", MeasureWatchers}, {"peers", MeasurePeers}};
  return phases;
}

int Usage(const std::string& message) {
  std::fprintf(stderr, "svi-load: %s\n", message.c_str());
  return 2;
}

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // what starts the processes complains through it
  std::string stores = "sqlite,postgresql";
  std::string wanted = "creates,idle,queue,workers,watchers,peers";
  bool quick = false;
  int carry_kib = 64;
  std::string json;
  FlagParser flags("svi-load [flags]\n\nMeasures how much one svi-server takes, and how that grows.");
  flags.AddString("stores", &stores, "sqlite, postgresql, or both");
  flags.AddString("phases", &wanted, "what to measure");
  flags.AddBool("quick", &quick, "a tenth of the load, only to see that it runs");
  flags.AddInt("carry-kib", &carry_kib, "size of each clip's carry");
  flags.AddString("json", &json, "file for a JSON object a figure; the table goes to stdout");
  if (auto rest = flags.Parse(argc, argv); !rest.ok()) return Usage(std::string(rest.status().message()));
  if (flags.help_requested()) {
    std::printf("%s", flags.Help().c_str());
    return 0;
  }
  (void)Uptime();
  std::FILE* const lines = json.empty() ? stderr : std::fopen(json.c_str(), "w");
  if (lines == nullptr) return Usage("--json: the file cannot be written");
  Report report(lines);
  const CheapEngine engine(static_cast<size_t>(carry_kib) * 1024);
  Bench bench;
  bench.report = &report;
  bench.engine = &engine;
  if (quick) {
    for (auto* loads : {&bench.callers, &bench.depths, &bench.watchers, &bench.workers}) loads->pop_back();
    bench.seconds = 1;
  }
  std::optional<PostgresServer> postgres;
  for (const std::string& phase : std::vector<std::string>(absl::StrSplit(wanted, ','))) {
    Measure measure = nullptr;
    for (const auto& [name, function] : Phases()) {
      if (name == phase) measure = function;
    }
    if (measure == nullptr) return Usage("--phases: there is no " + phase);
    for (const std::string& store : std::vector<std::string>(absl::StrSplit(stores, ','))) {
      if (store != "sqlite" && store != "postgresql") return Usage("--stores: there is no " + store);
      bench.postgres = nullptr;
      if (store == "postgresql") bench.postgres = postgres ? &*postgres : &postgres.emplace();
      measure(bench);
    }
  }
  std::printf("%s", report.Markdown().c_str());
  return testing::Test::HasFailure() ? 1 : 0;
}

}  // namespace
}  // namespace svi::load

int main(int argc, char** argv) { return svi::load::Main(argc, argv); }
