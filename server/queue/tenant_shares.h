// The tenants' shares of the workers, as start-time fair queueing counts them (see schedule.h).
#ifndef SVI_SERVER_QUEUE_TENANT_SHARES_H_
#define SVI_SERVER_QUEUE_TENANT_SHARES_H_

#include <set>
#include <string>

namespace svi::server {

// One tenant's account. Owned by who keeps the tenants; TenantShares orders them.
struct TenantShare {
  std::string tenant;
  double weight = 1;
  // Virtual time: worker-seconds that it was given, divided by its weight, never behind the decisions' at the
  // time when it came to have a clip waiting.
  double tag = 0;
  // It has a clip waiting and may have one more made: set by TenantShares.
  bool eligible = false;
};

// Not thread-safe. Each call costs O(log tenants).
class TenantShares {
 public:
  struct LowestFirst {
    bool operator()(const TenantShare* a, const TenantShare* b) const {
      return a->tag != b->tag ? a->tag < b->tag : a->tenant < b->tenant;
    }
  };
  using Order = std::set<TenantShare*, LowestFirst>;

  // Puts the tenant among those to choose from, or takes it out.
  void SetEligible(TenantShare& share, bool eligible);
  // It is given a clip that will take this many seconds.
  void Charge(TenantShare& share, double seconds);
  // The clip took this much longer (or shorter, if negative) than what was charged.
  void Correct(TenantShare& share, double seconds);

  // Those to choose from, who is next first.
  [[nodiscard]] const Order& eligible() const { return order_; }
  // The highest tag at which a clip was given away.
  [[nodiscard]] double now() const { return now_; }

 private:
  void Move(TenantShare& share, double tag);

  Order order_;
  double now_ = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_TENANT_SHARES_H_
