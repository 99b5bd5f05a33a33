// What /metrics of a worker says in both modes.
#ifndef SVI_WORKER_AGENT_CONNECTION_METRICS_H_
#define SVI_WORKER_AGENT_CONNECTION_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <string>

namespace svi::worker {

// Thread-safe.
class ConnectionMetrics {
 public:
  struct Identity {
    std::string device, model, version;
  };
  // `leases`: the name of the counter of leases by how they ended. `registry` must outlive this.
  ConnectionMetrics(prometheus::Registry& registry, const Identity& identity, const std::string& leases);

  void SetConnected(bool connected) { connected_->Set(connected); }
  void SetBusy(bool busy) { busy_->Set(busy); }
  // `outcome`: done, failed, cancelled, handed_back or lost.
  void CountLease(const char* outcome) { leases_total_->Add({{"outcome", outcome}}).Increment(); }

 private:
  prometheus::Gauge* busy_;
  prometheus::Gauge* connected_;
  prometheus::Family<prometheus::Counter>* leases_total_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_CONNECTION_METRICS_H_
