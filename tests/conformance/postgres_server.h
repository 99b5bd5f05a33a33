// A PostgreSQL server of the test's own: a real one, in a temporary folder, on a Unix socket.
#ifndef SVI_TESTS_CONFORMANCE_POSTGRES_SERVER_H_
#define SVI_TESTS_CONFORMANCE_POSTGRES_SERVER_H_

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/conformance/temp_dir.h"

namespace svi {

// Made by initdb; run by the user "postgres" if the test is run by root, whom PostgreSQL refuses. It has
// fsync on, as in production. Not thread-safe.
class PostgresServer {
 public:
  PostgresServer();   // starts it; fails the test if it cannot
  ~PostgresServer();  // stops it and removes its folder
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The one of this test program, started when it is first asked for.
  static PostgresServer& Shared();

  // A URL for a database that is empty and nobody else's: a schema of its own.
  std::string MakeDatabase();
  // The URL of the whole cluster's database, without a schema of its own.
  [[nodiscard]] std::string Url() const;

  // Makes the user `name`, who may do everything, but needs the password. Others need none.
  void MakeUserWithPassword(const std::string& name, const std::string& password);

  // Takes it away as a crash would (or as `signal` does it), and brings it back.
  void Kill(int signal = SIGKILL);
  void Start();
  // To the server process itself, e.g. SIGSTOP.
  void Signal(int signal) const;
  // To it and to all that serve connections.
  void SignalAll(int signal) const;
  // Runs SQL by psql; returns what it prints, one row a line. Fails the test on an error.
  std::string Psql(const std::string& url, const std::string& sql);

 private:
  void Launch();
  // Runs a program of PostgreSQL's as the server's user; returns its output.
  std::string RunTool(const std::string& tool, const std::vector<std::string>& args);
  [[nodiscard]] std::vector<std::string> Command(const std::string& tool,
                                                 const std::vector<std::string>& args) const;
  [[nodiscard]] std::string DataDir() const { return dir_.File("data"); }

  const TempDir dir_;
  pid_t pid_ = -1;
  int databases_ = 0;
};

}  // namespace svi

#endif  // SVI_TESTS_CONFORMANCE_POSTGRES_SERVER_H_
