#include "tests/fault/fleet.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

constexpr int kServers = 2;
constexpr int kWorkers = 3;

}  // namespace

Fleet::Fleet() {
  for (int i = 0; i < kServers; ++i) AddServer();
  for (Service& server : servers) server.StartAndWait();
  for (int i = 0; i < kWorkers; ++i) AddWorker(i);
  for (Service& worker : workers) worker.StartAndWait();
}

void Fleet::AddServer() {
  const int port = e2e::FreePort();
  const std::string name = absl::StrCat("server", ports_.size());
  ports_.push_back(port);
  // Workers come from other networks.
  servers.emplace_back(
      name,
      std::vector<std::string>{
          e2e::BinaryPath("svi-server"), absl::StrCat("--listen=0.0.0.0:", port), "--allow-plaintext",
          absl::StrCat("--metrics-listen=127.0.0.1:", e2e::FreePort()), "--data-dir=" + dir_.File(name),
          "--database=" + database_, absl::StrCat("--artifacts=s3://", S3Server::kBucket),
          "--s3-endpoint=" + s3.endpoint(), "--s3-credentials=" + s3.credentials_file(), "--orphans=delete",
          "--orphan-grace=1m", "--sweep-interval=5s", "--heartbeat-interval=200ms", "--lease-timeout=3s",
          "--shutdown-grace=2s", absl::StrCat("--max-attempts=", kMaxAttempts)},
      "svi-server: listening on ");
}

void Fleet::AddWorker(int index) {
  std::string host = "127.0.0.1";
  if (Network::Unavailable().empty()) host = networks.emplace_back().host();
  std::vector<std::string> servers;
  for (int i = 0; i < kServers; ++i) {
    servers.push_back(absl::StrCat(host, ":", ports_[(index + i) % kServers]));
  }
  std::vector<std::string> command = {e2e::BinaryPath("svi-worker"),
                                      "--server=ipv4:" + absl::StrJoin(servers, ","),
                                      "--model=" + e2e::Cluster::ModelDir(),
                                      "--metrics-listen=127.0.0.1:0",
                                      "--device=cpu",
                                      "--threads=1",
                                      "--drain-timeout=5s"};
  if (!networks.empty()) command = networks.back().Inside(command);
  workers.emplace_back(absl::StrCat("worker", index), std::move(command), "registered");
}

void Fleet::Tend() {
  for (Service& server : servers) server.Tend();
  for (Service& worker : workers) worker.Tend();
}

std::vector<std::string> Fleet::Addresses() const {
  std::vector<std::string> addresses;
  for (const int port : ports_) addresses.push_back(absl::StrCat("127.0.0.1:", port));
  return addresses;
}

std::vector<std::string> Fleet::KeysInDatabase() {
  const std::string rows = postgres.Psql(
      database_,
      "SELECT image_key FROM videos UNION ALL SELECT mp4_key FROM clips WHERE mp4_key IS NOT NULL "
      "UNION ALL SELECT carry_key FROM clips WHERE carry_key IS NOT NULL");
  std::vector<std::string> keys = absl::StrSplit(rows, '\n', absl::SkipEmpty());
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<std::string> Fleet::KeysInStore() {
  std::vector<std::string> keys;
  const std::filesystem::path root = s3.FileOf("");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    // What rclone was writing when it was killed; it shows that to nobody.
    if (entry.path().filename().string().rfind(".rclone", 0) == 0) continue;
    if (entry.is_regular_file()) keys.push_back(entry.path().lexically_relative(root).string());
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace svi::fault
