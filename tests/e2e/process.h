// A child process whose output a test can wait for.
#ifndef SVI_TESTS_E2E_PROCESS_H_
#define SVI_TESTS_E2E_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace svi::e2e {

class Process {
 public:
  // Starts args[0] with stdout and stderr read by us. Fails the test if it cannot.
  explicit Process(const std::vector<std::string>& args);
  ~Process();  // SIGKILL if it still runs

  // Waits until the output holds `text`; returns the rest of that line, or fails the test after the timeout
  // or when the process has ended without saying it.
  std::string WaitForText(const std::string& text, absl::Duration timeout = absl::Seconds(60));
  void Signal(int signal);
  // Exit code, or 128 + the signal that ended it. Fails the test after the timeout.
  int Wait(absl::Duration timeout = absl::Seconds(60));
  // The same, or nothing if it still runs after the timeout.
  std::optional<int> WaitFor(absl::Duration timeout);
  std::string output() const;
  pid_t pid() const { return pid_; }

 private:
  void ReadOutput();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  int exit_code_ = -1;
  bool reaped_ = false;
  mutable absl::Mutex mutex_;
  std::string output_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reader_;
};

// A TCP port that is free now.
int FreePort();

}  // namespace svi::e2e

#endif  // SVI_TESTS_E2E_PROCESS_H_
