// A program that is kept running, as systemd or a cluster would, and that a test takes away again and again.
#ifndef SVI_TESTS_FAULT_SERVICE_H_
#define SVI_TESTS_FAULT_SERVICE_H_

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/process.h"

namespace svi::fault {

// Not thread-safe.
class Service {
 public:
  // `name` is for messages. `ready`: what it says once it works; if it ends by itself before that, it could
  // not reach something yet, and is started again; later, that is a failure of the test.
  Service(std::string name, std::vector<std::string> command, std::string ready);
  ~Service();

  void Start();         // kills it first if it still ends
  void StartAndWait();  // until it is ready
  void Signal(int signal) { process_->Signal(signal); }
  void Kill();       // SIGKILL, and it is gone when this returns
  void Terminate();  // SIGTERM; it ends in its own time
  // Starts it again if it has ended, unless it was told to.
  void Tend();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  e2e::Process& process() { return *process_; }

 private:
  // Appends what it said to the file NAME.log in the folder SVI_FAULT_LOGS, if that is set.
  void KeepOutput();

  const std::string name_;
  const std::vector<std::string> command_;
  const std::string ready_;
  bool terminating_ = false;
  std::unique_ptr<e2e::Process> process_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_SERVICE_H_
