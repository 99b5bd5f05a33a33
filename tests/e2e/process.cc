#include "tests/e2e/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

extern char** environ;

namespace svi::e2e {

Process::Process(const std::vector<std::string>& args) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "pipe: " << strerror(errno);
    return;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
  posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  output_fd_ = fds[0];
  if (error != 0) {
    ADD_FAILURE() << "could not start " << args[0] << ": " << strerror(error);
    pid_ = -1;
  }
  reader_ = std::thread([this] { ReadOutput(); });
}

Process::~Process() {
  if (pid_ > 0 && !reaped_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (reader_.joinable()) reader_.join();
  close(output_fd_);
  if (testing::Test::HasFailure())
    fprintf(stderr, "--- output of process %d\n%s---\n", pid_, output().c_str());
}

void Process::ReadOutput() {
  char buffer[4096];
  ssize_t n;
  while ((n = read(output_fd_, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
    if (n < 0) continue;
    absl::MutexLock lock(&mutex_);
    output_.append(buffer, n);
  }
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

std::string Process::WaitForText(const std::string& text, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  size_t at = std::string::npos;
  auto said_or_ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    at = output_.find(text);
    // The whole line must be there.
    if (at != std::string::npos && output_.find('\n', at) == std::string::npos) at = std::string::npos;
    return at != std::string::npos || ended_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&said_or_ended), timeout);
  if (at == std::string::npos) {
    ADD_FAILURE() << "the process did not say '" << text << "'";
    return "";
  }
  at += text.size();
  return output_.substr(at, output_.find('\n', at) - at);
}

void Process::Signal(int signal) {
  if (pid_ > 0 && !reaped_) kill(pid_, signal);
}

int Process::Wait(absl::Duration timeout) {
  const std::optional<int> code = WaitFor(timeout);
  if (!code) ADD_FAILURE() << "the process did not end within " << absl::FormatDuration(timeout);
  return code.value_or(-1);
}

std::optional<int> Process::WaitFor(absl::Duration timeout) {
  if (reaped_ || pid_ < 0) return exit_code_;
  {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ended_), timeout)) return std::nullopt;
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  reaped_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

std::string Process::output() const {
  absl::MutexLock lock(&mutex_);
  return output_;
}

int FreePort() {
  // Not of those that the kernel gives to connections: whoever is restarted wants it back.
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> any(20000, 32000);
  for (int tries = 0; tries < 1000; ++tries) {
    const int port = any(random);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free) return port;
  }
  ADD_FAILURE() << "there is no free port";
  return 0;
}

}  // namespace svi::e2e
