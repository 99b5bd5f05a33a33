// A network of its own for a process, whose link to this machine a test can cut and slow down.
#ifndef SVI_TESTS_FAULT_NETWORK_H_
#define SVI_TESTS_FAULT_NETWORK_H_

#include <string>
#include <vector>

namespace svi::fault {

// A network namespace, joined to this machine's by a pair of virtual interfaces. Needs root. Not thread-safe.
class Network {
 public:
  // Why there can be none here; empty if there can.
  static const std::string& Unavailable();

  Network();   // fails the test if it cannot
  ~Network();  // what runs in it must have ended
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // The command, to be run inside.
  [[nodiscard]] std::vector<std::string> Inside(const std::vector<std::string>& command) const;
  // This machine's address, as it is called from inside.
  [[nodiscard]] std::string host() const;

  // Nothing gets through any more; no connection is closed by that, and nobody outside is told.
  void Cut();
  // As before, after Cut or Slow.
  void Mend();
  // Every packet is late: by netem's 150 ms where the kernel has that; otherwise as on a line of 2 Mbit/s.
  void Slow();

 private:
  [[nodiscard]] std::string outside() const { return name_ + "h"; }
  [[nodiscard]] std::string inside() const { return name_ + "n"; }

  std::string name_;
  int subnet_ = 0;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_NETWORK_H_
