#include "tests/bench/load/server_process.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace svi::load {

ServerProcess::ServerProcess(const ServerSettings& settings) {
  std::vector<std::string> command = {std::string(SVI_BIN_DIR) + "/svi-server", "--data-dir=" + data_dir(),
                                      "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"};
  if (!settings.database.empty()) command.push_back("--database=" + settings.database);
  command.insert(command.end(), settings.flags.begin(), settings.flags.end());
  process_ = std::make_unique<e2e::Process>(command);
  address_ = process_->WaitForText("svi-server: listening on ");
}

std::shared_ptr<grpc::Channel> ServerProcess::Connect(int window) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (window > 0) {
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window);
  }
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

int64_t ServerProcess::StatusNumber(const std::string& field) const {
  std::ifstream status("/proc/" + std::to_string(process_->pid()) + "/status");
  std::string word;
  while (status >> word) {
    int64_t value = 0;
    if (word == field && status >> value) return value;
  }
  return -1;
}

absl::Duration ServerProcess::CpuTime() const {
  std::ifstream file("/proc/" + std::to_string(process_->pid()) + "/stat");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  // After the name, which is in parentheses: fields 3 and on; utime and stime are 14 and 15.
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  int64_t user = 0;
  int64_t system = 0;
  rest >> user >> system;
  return absl::Seconds(static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace svi::load
