#include "tests/fault/network.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/process.h"

namespace svi::fault {
namespace {

// Runs `ip` or `tc`; returns what it says if it fails.
std::string Try(const std::string& command) {
  std::vector<std::string> args = absl::StrSplit(command, ' ');
  args[0] = "/sbin/" + args[0];
  if (access(args[0].c_str(), X_OK) != 0) return args[0] + " is not there: install iproute2";
  e2e::Process process(args);
  return process.Wait() == 0 ? "" : absl::StrCat(command, ": ", process.output());
}

void Run(const std::string& command) { EXPECT_EQ(Try(command), ""); }

}  // namespace

const std::string& Network::Unavailable() {
  static const std::string* const why = [] {
    const std::string name = absl::StrCat("svi", getpid(), "probe");
    std::string failed = Try("ip netns add " + name);
    if (failed.empty()) failed = Try("ip netns del " + name);
    return new std::string(failed);
  }();
  return *why;
}

Network::Network() {
  static int made = 0;
  // Interfaces' names have 15 characters at most.
  name_ = absl::StrCat("svi", getpid() % 1000000, "x", made++);
  // Another test may run at the same time: the first subnet that nobody has.
  Run("ip netns add " + name_);
  Run(absl::StrCat("ip link add ", outside(), " type veth peer name ", inside(), " netns ", name_));
  for (subnet_ = getpid() % 200; subnet_ < 250; ++subnet_) {
    const std::string route = Try(absl::StrCat("ip route add 10.213.", subnet_, ".0/30 dev lo metric 5000"));
    if (route.empty()) break;
  }
  Run(absl::StrCat("ip addr add ", host(), "/30 dev ", outside()));
  Run(absl::StrCat("ip link set ", outside(), " up"));
  Run(absl::StrCat("ip -n ", name_, " addr add 10.213.", subnet_, ".2/30 dev ", inside()));
  Run(absl::StrCat("ip -n ", name_, " link set ", inside(), " up"));
  Run(absl::StrCat("ip -n ", name_, " link set lo up"));
}

Network::~Network() {
  Run(absl::StrCat("ip link del ", outside()));
  Run("ip netns del " + name_);
  Run(absl::StrCat("ip route del 10.213.", subnet_, ".0/30 dev lo metric 5000"));
}

std::vector<std::string> Network::Inside(const std::vector<std::string>& command) const {
  std::vector<std::string> all = {"/sbin/ip", "netns", "exec", name_};
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

std::string Network::host() const { return absl::StrCat("10.213.", subnet_, ".1"); }

// The end inside goes: outside, packets are dropped without a word.
void Network::Cut() { Run(absl::StrCat("ip -n ", name_, " link set ", inside(), " down")); }

void Network::Mend() {
  Run(absl::StrCat("ip -n ", name_, " link set ", inside(), " up"));
  (void)Try(absl::StrCat("tc qdisc del dev ", outside(), " root"));
  (void)Try(absl::StrCat("tc -n ", name_, " qdisc del dev ", inside(), " root"));
}

void Network::Slow() {
  const auto slow = [](const std::string& tc, const std::string& device) {
    const std::string add = absl::StrCat(tc, " qdisc add dev ", device, " root ");
    if (!Try(add + "netem delay 150ms").empty()) Run(add + "tbf rate 2mbit burst 16kb latency 2s");
  };
  slow("tc", outside());
  slow("tc -n " + name_, inside());
}

}  // namespace svi::fault
