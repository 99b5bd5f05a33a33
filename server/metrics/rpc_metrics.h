// Counts every RPC of every service of a gRPC server, with the names of go-grpc-prometheus.
#ifndef SVI_SERVER_METRICS_RPC_METRICS_H_
#define SVI_SERVER_METRICS_RPC_METRICS_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "server/metrics/server_metrics.h"

namespace svi::server {

// For ServerBuilder::experimental().SetInterceptorCreators. `metrics` must outlive the gRPC server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(ServerMetrics* metrics);

}  // namespace svi::server

#endif  // SVI_SERVER_METRICS_RPC_METRICS_H_
