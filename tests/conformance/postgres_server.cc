#include "tests/conformance/postgres_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

extern char** environ;

namespace svi {
namespace {

constexpr absl::Duration kStartLimit = absl::Minutes(2);

// Its output goes to `log`.
pid_t Spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& arg : command) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) ADD_FAILURE() << "cannot start " << argv[0] << ": " << strerror(error);
  return error == 0 ? pid : -1;
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

PostgresServer::PostgresServer() {
  if (geteuid() == 0) {
    const passwd* const user = getpwnam("postgres");
    if (user == nullptr) {
      ADD_FAILURE() << "there is no user postgres: is Debian's postgresql-15 installed?";
      return;
    }
    EXPECT_EQ(chown(dir_.path().c_str(), user->pw_uid, user->pw_gid), 0);
  }
  RunTool("initdb", {"--pgdata=" + DataDir(), "--auth=trust", "--username=svi", "--encoding=UTF8",
                     "--locale=C.UTF-8", "--no-sync", "--no-instructions"});
  Start();
}

PostgresServer::~PostgresServer() {
  if (pid_ < 0) return;
  kill(pid_, SIGCONT);
  kill(pid_, SIGQUIT);  // at once: nobody needs its data any more
  waitpid(pid_, nullptr, 0);
}

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

std::vector<std::string> PostgresServer::Command(const std::string& tool,
                                                 const std::vector<std::string>& args) const {
  std::vector<std::string> command;
  if (geteuid() == 0) command = {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"};
  command.push_back(absl::StrCat(SVI_POSTGRES_BIN_DIR, "/", tool));
  command.insert(command.end(), args.begin(), args.end());
  return command;
}

std::string PostgresServer::RunTool(const std::string& tool, const std::vector<std::string>& args) {
  const std::string log = dir_.File(tool + ".log");
  const pid_t pid = Spawn(Command(tool, args), log);
  int status = -1;
  if (pid > 0) waitpid(pid, &status, 0);
  const std::string output = ReadAll(log);
  EXPECT_EQ(status, 0) << tool << ": " << output;
  return output;
}

std::string PostgresServer::Url() const {
  return absl::StrCat("postgresql://svi@/postgres?host=", dir_.path().string());
}

void PostgresServer::Launch() {
  pid_ =
      Spawn(Command("postgres", {"-D", DataDir(), "-k", dir_.path().string(), "-c", "listen_addresses=", "-c",
                                 "shared_buffers=32MB", "-c", "max_connections=100"}),
            dir_.File("server.log"));
}

void PostgresServer::Start() {
  Launch();
  const absl::Time deadline = absl::Now() + kStartLimit;
  while (PQping(Url().c_str()) != PQPING_OK) {
    if (absl::Now() > deadline) {
      ADD_FAILURE() << "PostgreSQL does not start: " << ReadAll(dir_.File("server.log"));
      return;
    }
    absl::SleepFor(absl::Milliseconds(20));
    // The children of one that was killed are still there, and it will not start beside them.
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) Launch();
  }
}

void PostgresServer::Kill(int signal) {
  // Its children see that it has gone, and go, too.
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresServer::Signal(int signal) const { kill(pid_, signal); }

void PostgresServer::SignalAll(int signal) const {
  Signal(signal);
  std::ifstream children(absl::StrCat("/proc/", pid_, "/task/", pid_, "/children"));
  for (pid_t child; children >> child;) kill(child, signal);
}

std::string PostgresServer::MakeDatabase() {
  const std::string schema = absl::StrCat("test_", ++databases_);
  Psql(Url(), "CREATE SCHEMA " + schema);
  return absl::StrCat(Url(), "&options=-csearch_path%3D", schema);
}

void PostgresServer::MakeUserWithPassword(const std::string& name, const std::string& password) {
  Psql(Url(), "CREATE ROLE " + name + " SUPERUSER LOGIN PASSWORD '" + password + "'");
  const std::string rules = DataDir() + "/pg_hba.conf";
  const std::string before = ReadAll(rules);
  std::ofstream(rules) << "local all " << name << " scram-sha-256\n" << before;
  Psql(Url(), "SELECT pg_reload_conf()");
}

std::string PostgresServer::Psql(const std::string& url, const std::string& sql) {
  return RunTool("psql", {"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
                          "--command=" + sql, url});
}

}  // namespace svi
