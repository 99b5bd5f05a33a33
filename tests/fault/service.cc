#include "tests/fault/service.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"

namespace svi::fault {

Service::Service(std::string name, std::vector<std::string> command, std::string ready)
    : name_(std::move(name)), command_(std::move(command)), ready_(std::move(ready)) {}

Service::~Service() {
  if (running()) Kill();
}

void Service::Start() {
  if (running()) Kill();
  terminating_ = false;
  process_ = std::make_unique<e2e::Process>(command_);
}

void Service::StartAndWait() {
  Start();
  process_->WaitForText(ready_);
}

void Service::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait();
  KeepOutput();
  process_.reset();
}

void Service::Terminate() {
  terminating_ = true;
  process_->Signal(SIGTERM);
}

void Service::Tend() {
  if (!running()) return;
  const std::optional<int> code = process_->WaitFor(absl::ZeroDuration());
  if (!code) return;
  if (terminating_) {
    // Or its time is over, since a store does not answer; or it had not begun yet.
    const std::string said = process_->output();
    EXPECT_TRUE(*code == 0 || absl::StrContains(said, "stopping took too long") ||
                (*code == 128 + SIGTERM && !absl::StrContains(said, ready_)))
        << name_ << " was told to stop, and ended with exit code " << *code;
  } else {
    EXPECT_TRUE(*code < 128 && !absl::StrContains(process_->output(), ready_))
        << name_ << " ended by itself, with exit code " << *code;
  }
  KeepOutput();
  process_.reset();
  if (!terminating_) Start();
}

void Service::KeepOutput() {
  const char* const folder = std::getenv("SVI_FAULT_LOGS");
  if (folder == nullptr) return;
  std::ofstream(std::string(folder) + "/" + name_ + ".log", std::ios::app)
      << process_->output() << "--- ended\n";
}

}  // namespace svi::fault
