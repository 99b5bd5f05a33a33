#include "tests/conformance/s3_server.h"

#include <signal.h>

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace svi {

S3Server::S3Server(std::vector<std::string> flags) : flags_(std::move(flags)) {
  std::filesystem::create_directories(FileOf(""));
  std::ofstream(credentials_file()) << "[default]\naws_access_key_id = " << kAccessKey
                                    << "\naws_secret_access_key = " << kSecretKey << "\n";
  Start(absl::StrCat("127.0.0.1:", e2e::FreePort()));
}

void S3Server::Start(const std::string& address) {
  std::vector<std::string> args = {SVI_VENV "/bin/rclone", "serve", "s3", "--config", "", "--addr", address};
  args.insert(args.end(), {"--auth-key", absl::StrCat(kAccessKey, ",", kSecretKey)});
  // Tests put objects there behind its back. (With 0s it hangs.)
  args.insert(args.end(), {"--dir-cache-time", "1ms", "--vfs-cache-mode", "off"});
  args.insert(args.end(), flags_.begin(), flags_.end());
  args.push_back(dir_.File("data"));
  process_ = std::make_unique<e2e::Process>(args);
  endpoint_ = process_->WaitForText("Starting s3 server on [");
  endpoint_ = endpoint_.substr(0, endpoint_.find("/]"));
}

void S3Server::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait();
}

void S3Server::Restart() { Start(endpoint_.substr(endpoint_.find("//") + 2)); }

}  // namespace svi
