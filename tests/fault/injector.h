// Takes parts of a fleet away at random, and gives them back.
#ifndef SVI_TESTS_FAULT_INJECTOR_H_
#define SVI_TESTS_FAULT_INJECTOR_H_

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/fault/fleet.h"

namespace svi::fault {

// The same seed gives the same faults in the same order; what they hit depends on the machine. Not
// thread-safe.
class Injector {
 public:
  Injector(Fleet* fleet, uint32_t seed);

  // Until `end`; then everything is given back.
  void Run(absl::Time end);

  // How many of each kind, e.g. "worker killed".
  [[nodiscard]] const std::map<std::string, int>& counts() const { return counts_; }

 private:
  // A way to disturb one part, which nothing else disturbs meanwhile.
  struct Fault {
    std::string kind;
    std::string part;
    absl::Duration longest;  // until it is given back
    std::function<void()> take;
    std::function<void()> give;
  };
  struct Taken {
    std::string part;
    absl::Time until;
    std::function<void()> give;
  };

  void AddFaultsOf(Service& service, const std::string& kind);
  void AddFaultsOfStores();
  void AddFaultsOf(Network& network, const std::string& worker);
  void TakeOne();
  void GiveBack(absl::Time now);
  absl::Duration Random(absl::Duration shortest, absl::Duration longest);

  Fleet& fleet_;
  std::mt19937 random_;
  std::vector<Fault> faults_;
  std::vector<Taken> taken_;
  std::map<std::string, int> counts_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_INJECTOR_H_
