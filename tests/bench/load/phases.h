// What is measured, each on servers of its own.
#ifndef SVI_TESTS_BENCH_LOAD_PHASES_H_
#define SVI_TESTS_BENCH_LOAD_PHASES_H_

#include <string>
#include <vector>

#include "tests/bench/load/cheap_engine.h"
#include "tests/bench/load/report.h"
#include "tests/conformance/postgres_server.h"

namespace svi::load {

// Of one store.
struct Bench {
  PostgresServer* postgres = nullptr;  // null: SQLite
  Report* report = nullptr;
  const CheapEngine* engine = nullptr;
  // Each step of a load; two decades, if they are not told otherwise.
  std::vector<int> callers = {1, 10, 100};
  std::vector<int> depths = {100, 1000, 10000};
  std::vector<int> watchers = {20, 200, 2000};
  std::vector<int> workers = {1, 10, 100};
  double seconds = 5;  // of each measurement that has no end of its own

  [[nodiscard]] std::string store() const { return postgres == nullptr ? "SQLite" : "PostgreSQL"; }
  // A fresh database's URL, or nothing.
  [[nodiscard]] std::string MakeDatabase() const {
    return postgres == nullptr ? "" : postgres->MakeDatabase();
  }
};

// Videos made a second by so many callers.
void MeasureCreates(const Bench& bench);
// The same, and how fast a lease follows another, while so many videos wait.
void MeasureDepth(const Bench& bench);
// From CreateVideo to the Assign of a worker that has nothing to do.
void MeasureIdle(const Bench& bench);
// How late events come to so many watchers, and what one costs.
void MeasureWatchers(const Bench& bench);
// Clips a second of so many workers that make them in no time, and the hand-over of leases when they take two
// seconds.
void MeasureWorkers(const Bench& bench);
// PostgreSQL only: what servers tell each other while so many workers are busy, and how soon one server's
// worker gets what was created at another.
void MeasurePeers(const Bench& bench);

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_PHASES_H_
