#include "tests/client/cli_fixture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

extern char** environ;

namespace svi::client {

namespace fs = std::filesystem;

std::string Contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

CliFixture::CliFixture() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  dir_ = fs::temp_directory_path() / (std::string("svi_cli_") + test->name() + std::to_string(::getpid()));
  fs::create_directories(dir_);
}

CliFixture::~CliFixture() { fs::remove_all(dir_); }

pid_t CliFixture::Start(std::vector<std::string> args) {
  args.insert(args.begin(), {SVI_BIN_DIR "/svi", "--server=" + service_.address()});
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string out = dir_ / "stdout", err = dir_ / "stderr";
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

int CliFixture::Wait(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  out_ = Contents(dir_ / "stdout");
  err_ = Contents(dir_ / "stderr");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace svi::client
