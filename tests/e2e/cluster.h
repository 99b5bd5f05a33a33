// A server and workers as real processes on loopback, and a client's view of them.
#ifndef SVI_TESTS_E2E_CLUSTER_H_
#define SVI_TESTS_E2E_CLUSTER_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "svi/v1/video_service.grpc.pb.h"
#include "tests/e2e/process.h"

namespace svi::e2e {

// In the folder SVI_BIN_DIR of the environment, or else where this build puts them.
std::string BinaryPath(const std::string& name);
std::string DemoPicture();                               // path
std::string ReadFile(const std::string& path);           // bytes; fails the test if it is not there
std::string Sha256(const std::string& bytes);            // 32 bytes
std::string HttpGet(int port, const std::string& path);  // body of http://127.0.0.1:port/path

class Cluster {
 public:
  Cluster();   // temporary folder and two free ports
  ~Cluster();  // kills what still runs, removes the folder

  // The tiny random model, made once for all tests of this binary's run.
  static const std::string& ModelDir();

  // What becomes of the command of each server and worker from now on, e.g. to run it elsewhere.
  using Launcher = std::function<std::vector<std::string>(std::vector<std::string>)>;
  void SetLauncher(Launcher launcher) { launcher_ = std::move(launcher); }

  Process& StartServer(const std::vector<std::string>& more_flags = {});
  std::unique_ptr<Process> StartWorker(
      const std::vector<std::string>& more_flags = {});  // registered on return
  void KillServer() { server_.reset(); }                 // SIGKILL
  Process& server() { return *server_; }

  v1::VideoService::Stub& stub() { return *stub_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  int metrics_port() const { return metrics_port_; }
  const std::string& dir() const { return dir_; }

  // Small and quick; `prompts` prompts, one clip each.
  static v1::VideoSpec SmallSpec(int prompts, int steps = 2);
  v1::Video Create(const v1::VideoSpec& spec);
  v1::Video Get(const std::string& name);
  // Reads events, reconnecting as a client would, until `done` says so or the video ends. Returns the durable
  // ones.
  std::vector<v1::VideoEvent> Watch(const std::string& name,
                                    const std::function<bool(const v1::VideoEvent&)>& done,
                                    absl::Duration timeout = absl::Seconds(150));
  // Until the video has ended; returns it.
  v1::Video AwaitEnd(const std::string& name);
  std::string Download(const v1::Clip& clip);  // checks the hash
  std::vector<std::string> DownloadAll(const v1::Video& video);

 private:
  std::string dir_;
  int port_, metrics_port_;
  Launcher launcher_ = [](std::vector<std::string> command) { return command; };
  std::unique_ptr<Process> server_;
  std::unique_ptr<v1::VideoService::Stub> stub_;
};

// What an undisturbed server and worker make of this spec: the MP4s.
std::vector<std::string> UndisturbedRun(const v1::VideoSpec& spec);

}  // namespace svi::e2e

#endif  // SVI_TESTS_E2E_CLUSTER_H_
