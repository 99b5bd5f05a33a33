// A real S3-compatible server for tests: rclone's, which checks signatures and keeps objects as files.
#ifndef SVI_TESTS_CONFORMANCE_S3_SERVER_H_
#define SVI_TESTS_CONFORMANCE_S3_SERVER_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/temp_dir.h"
#include "tests/e2e/process.h"

namespace svi {

class S3Server {
 public:
  static constexpr char kBucket[] = "artifacts";
  static constexpr char kAccessKey[] = "AKIDSVITESTS0001";
  static constexpr char kSecretKey[] = "not-a-secret-of-anybody";

  // Starts it on a free port of the loopback interface; fails the test if it cannot. `flags` of `rclone serve
  // s3` come on top.
  explicit S3Server(std::vector<std::string> flags = {});

  // "http://127.0.0.1:PORT"; the same after a Restart.
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  // With the keys, as --s3-credentials wants it.
  [[nodiscard]] std::string credentials_file() const { return dir_.File("credentials"); }
  // Where the object's bytes are.
  [[nodiscard]] std::filesystem::path FileOf(const std::string& key) const {
    return dir_.path() / "data" / kBucket / key;
  }

  void Signal(int signal) { process_->Signal(signal); }
  // SIGKILL, and it is gone when this returns. Objects stay.
  void Kill();
  // After Kill.
  void Restart();

 private:
  void Start(const std::string& address);

  TempDir dir_;
  const std::vector<std::string> flags_;
  std::string endpoint_;
  std::unique_ptr<e2e::Process> process_;
};

}  // namespace svi

#endif  // SVI_TESTS_CONFORMANCE_S3_SERVER_H_
