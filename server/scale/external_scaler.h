// Tells KEDA how many workers are wanted, by its protocol for external scalers (proto/keda), on a port of its
// own: KEDA has no token.
#ifndef SVI_SERVER_SCALE_EXTERNAL_SCALER_H_
#define SVI_SERVER_SCALE_EXTERNAL_SCALER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keda/externalscaler.grpc.pb.h"

namespace svi::server {

// How many workers are wanted now.
struct ScaleSources {
  // That make clips, if what is known of is to be done within `target`.
  std::function<int64_t(absl::Duration target)> workers;
  // That train. UNAVAILABLE: the store does not tell.
  std::function<absl::StatusOr<int64_t>()> trainers;
};

// Thread-safe.
class ExternalScaler final : public externalscaler::ExternalScaler::Service {
 public:
  explicit ExternalScaler(ScaleSources sources) : sources_(std::move(sources)) {}
  ~ExternalScaler() override;  // ends what is open

  // Once, on HOST:PORT; port 0 takes a free one. UNAVAILABLE: the port cannot be used.
  [[nodiscard]] absl::Status Listen(const std::string& address,
                                    const std::shared_ptr<grpc::ServerCredentials>& credentials);

  int port() const { return port_; }
  // There may be work now, or none any more: those who wait for that are told at once. What nobody told of is
  // seen within a second.
  void Changed() ABSL_LOCKS_EXCLUDED(mu_);

  grpc::Status IsActive(grpc::ServerContext* context, const externalscaler::ScaledObjectRef* request,
                        externalscaler::IsActiveResponse* response) override;
  grpc::Status StreamIsActive(grpc::ServerContext* context, const externalscaler::ScaledObjectRef* request,
                              grpc::ServerWriter<externalscaler::IsActiveResponse>* writer) override;
  grpc::Status GetMetricSpec(grpc::ServerContext* context, const externalscaler::ScaledObjectRef* request,
                             externalscaler::GetMetricSpecResponse* response) override;
  grpc::Status GetMetrics(grpc::ServerContext* context, const externalscaler::GetMetricsRequest* request,
                          externalscaler::GetMetricsResponse* response) override;

 private:
  // INVALID_ARGUMENT names what is wrong in the metadata.
  [[nodiscard]] absl::StatusOr<int64_t> Wanted(const externalscaler::ScaledObjectRef& object) const;

  const ScaleSources sources_;
  int port_ = 0;
  absl::Mutex mu_;
  int64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_SCALE_EXTERNAL_SCALER_H_
