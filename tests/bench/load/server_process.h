// A real svi-server under load, and what it costs.
#ifndef SVI_TESTS_BENCH_LOAD_SERVER_PROCESS_H_
#define SVI_TESTS_BENCH_LOAD_SERVER_PROCESS_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/conformance/temp_dir.h"
#include "tests/e2e/process.h"

namespace svi::load {

struct ServerSettings {
  std::string database;  // URL; empty: SQLite
  std::vector<std::string> flags;
};

class ServerProcess {
 public:
  explicit ServerProcess(const ServerSettings& settings = {});  // started, and listening
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // A connection of its own to it. `window`: bytes of each stream that may come before they are read; 0:
  // gRPC's own choice.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Connect(int window = 0) const;
  [[nodiscard]] std::string data_dir() const { return dir_.File("data"); }

  [[nodiscard]] int64_t ResidentBytes() const { return StatusBytes("VmRSS:"); }
  [[nodiscard]] int64_t PeakBytes() const { return StatusBytes("VmHWM:"); }
  [[nodiscard]] int threads() const { return static_cast<int>(StatusNumber("Threads:")); }
  // User and system time of all its threads so far.
  [[nodiscard]] absl::Duration CpuTime() const;

 private:
  [[nodiscard]] int64_t StatusNumber(const std::string& field) const;
  [[nodiscard]] int64_t StatusBytes(const std::string& field) const { return StatusNumber(field) * 1024; }

  const TempDir dir_;
  std::unique_ptr<e2e::Process> process_;
  std::string address_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_SERVER_PROCESS_H_
