#include "server/scale/external_scaler.h"

#include <grpcpp/resource_quota.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

constexpr char kMetric[] = "svi-wanted-workers";
constexpr int kDefaultTargetSeconds = 600;
constexpr int kMaxTargetSeconds = 1'000'000;
// Each open call has a thread: KEDA has one stream for each ScaledObject, and polls.
constexpr int kMaxThreads = 32;
constexpr absl::Duration kLookEvery = absl::Seconds(1);

}  // namespace

absl::Status ExternalScaler::Listen(const std::string& address,
                                    const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(grpc::ResourceQuota("scaler").SetMaxThreads(kMaxThreads));
  builder.SetMaxReceiveMessageSize(64 << 10);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, credentials, &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (server_ != nullptr && port_ != 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": is the port in use?"));
}

ExternalScaler::~ExternalScaler() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

void ExternalScaler::Changed() {
  absl::MutexLock lock(&mu_);
  ++changes_;
}

absl::StatusOr<int64_t> ExternalScaler::Wanted(const externalscaler::ScaledObjectRef& object) const {
  int target_seconds = kDefaultTargetSeconds;
  bool training = false;
  for (const auto& [key, value] : object.scalermetadata()) {
    if (key == "targetSeconds") {
      if (!absl::SimpleAtoi(value, &target_seconds) || target_seconds < 1 ||
          target_seconds > kMaxTargetSeconds) {
        return absl::InvalidArgumentError(
            absl::StrCat("targetSeconds: must be a whole number, 1..", kMaxTargetSeconds));
      }
    } else if (key == "workload") {
      if (value != "inference" && value != "training") {
        return absl::InvalidArgumentError("workload: must be \"inference\" or \"training\"");
      }
      training = value == "training";
    }
    // Others are KEDA's own, such as scalerAddress.
  }
  if (training) return sources_.trainers();
  return sources_.workers(absl::Seconds(target_seconds));
}

grpc::Status ExternalScaler::IsActive(grpc::ServerContext* /*context*/,
                                      const externalscaler::ScaledObjectRef* request,
                                      externalscaler::IsActiveResponse* response) {
  const auto wanted = Wanted(*request);
  if (!wanted.ok()) return ToGrpcStatus(wanted.status());
  response->set_result(*wanted > 0);
  return grpc::Status::OK;
}

grpc::Status ExternalScaler::StreamIsActive(grpc::ServerContext* context,
                                            const externalscaler::ScaledObjectRef* request,
                                            grpc::ServerWriter<externalscaler::IsActiveResponse>* writer) {
  std::optional<bool> told;
  while (true) {
    int64_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      seen = changes_;
    }
    const auto wanted = Wanted(*request);
    if (!wanted.ok()) return ToGrpcStatus(wanted.status());
    if (told != (*wanted > 0)) {
      told = *wanted > 0;
      externalscaler::IsActiveResponse response;
      response.set_result(*told);
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
    }
    absl::MutexLock lock(&mu_);
    const auto news = [this, seen]()
                          ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || changes_ != seen; };
    mu_.AwaitWithTimeout(absl::Condition(&news), kLookEvery);
    if (stopping_) return {grpc::StatusCode::UNAVAILABLE, "the server is stopping"};
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
  }
}

grpc::Status ExternalScaler::GetMetricSpec(grpc::ServerContext* /*context*/,
                                           const externalscaler::ScaledObjectRef* request,
                                           externalscaler::GetMetricSpecResponse* response) {
  if (const auto wanted = Wanted(*request); absl::IsInvalidArgument(wanted.status())) {
    return ToGrpcStatus(wanted.status());
  }
  externalscaler::MetricSpec& spec = *response->add_metricspecs();
  spec.set_metricname(kMetric);
  spec.set_targetsize(1);
  spec.set_targetsizefloat(1);
  return grpc::Status::OK;
}

grpc::Status ExternalScaler::GetMetrics(grpc::ServerContext* /*context*/,
                                        const externalscaler::GetMetricsRequest* request,
                                        externalscaler::GetMetricsResponse* response) {
  const auto wanted = Wanted(request->scaledobjectref());
  if (!wanted.ok()) return ToGrpcStatus(wanted.status());
  externalscaler::MetricValue& value = *response->add_metricvalues();
  value.set_metricname(kMetric);
  value.set_metricvalue(*wanted);
  value.set_metricvaluefloat(static_cast<double>(*wanted));
  return grpc::Status::OK;
}

}  // namespace svi::server
