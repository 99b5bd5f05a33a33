// The real binary, run against scripted services.
#ifndef SVI_TESTS_CLIENT_CLI_FIXTURE_H_
#define SVI_TESTS_CLIENT_CLI_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/client/scripted_service.h"
#include "tests/client/scripted_training.h"

namespace svi::client {

// Bytes of a file; empty if it is not there.
std::string Contents(const std::filesystem::path& path);

class CliFixture : public ::testing::Test {
 protected:
  CliFixture();
  ~CliFixture() override;

  // Starts `svi` with these arguments.
  pid_t Start(std::vector<std::string> args);
  // Its exit code, or 1000 plus the signal; what it printed is in out_ and err_.
  int Wait(pid_t pid);
  int Run(std::vector<std::string> args) { return Wait(Start(std::move(args))); }

  ScriptedTraining training_;
  ScriptedService service_{3, &training_};
  std::filesystem::path dir_;  // of this test
  std::string out_, err_;
};

}  // namespace svi::client

#endif  // SVI_TESTS_CLIENT_CLI_FIXTURE_H_
