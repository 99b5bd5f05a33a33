#include "worker/agent/connection_metrics.h"

namespace svi::worker {

ConnectionMetrics::ConnectionMetrics(prometheus::Registry& registry, const Identity& identity,
                                     const std::string& leases) {
  const auto gauge = [&registry](const char* name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  };
  prometheus::BuildGauge()
      .Name("svi_worker_info")
      .Help("Always 1; what this worker is.")
      .Register(registry)
      .Add({{"device", identity.device}, {"model", identity.model}, {"version", identity.version}})
      .Set(1);
  busy_ = gauge("svi_worker_busy", "1 while it holds a lease.");
  connected_ = gauge("svi_worker_connected", "1 while it is registered with the server.");
  leases_total_ =
      &prometheus::BuildCounter().Name(leases).Help("Leases by how they ended.").Register(registry);
  for (const char* outcome : {"done", "failed", "cancelled", "handed_back", "lost"}) {
    leases_total_->Add({{"outcome", outcome}});
  }
}

}  // namespace svi::worker
