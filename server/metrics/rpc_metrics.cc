#include "server/metrics/rpc_metrics.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace svi::server {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

std::string TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unknown";
}

// As in go-grpc-prometheus: the codes' names in CamelCase.
const char* CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const int index = static_cast<int>(code);
  return index >= 0 && index < 17 ? kNames[index] : "Unknown";
}

// Whether "package.Service/Method" is one that this server could have: callers choose the names of unknown
// methods, and each name would be a metric of its own for as long as the server lives.
bool IsKnown(absl::string_view path) {
  for (const char* served : {"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch",
                             "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    if (path == served) return true;
  }
  return absl::StartsWith(path, "svi.v1.") && std::count(path.begin(), path.end(), '/') == 1 &&
         google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
             absl::StrReplaceAll(path, {{"/", "."}})) != nullptr;
}

class RpcInterceptor : public grpc::experimental::Interceptor {
 public:
  RpcInterceptor(ServerMetrics* metrics, ServerRpcInfo* info)
      : metrics_(metrics), type_(TypeName(info->type())), start_(std::chrono::steady_clock::now()) {
    absl::string_view path = info->method();  // "/svi.v1.VideoService/GetVideo"
    if (!path.empty() && path.front() == '/') path.remove_prefix(1);
    if (!IsKnown(path)) path = "unknown/unknown";
    const size_t slash = path.find('/');
    service_ = std::string(path.substr(0, slash));
    method_ = std::string(path.substr(slash + 1));
    counters_ = metrics_->Rpc(service_, method_, type_);
    counters_.started->Increment();
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        methods->GetRecvMessage() != nullptr) {
      counters_.msg_received->Increment();
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE))
      counters_.msg_sent->Increment();
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start_;
      counters_.handling_seconds->Observe(took.count());
      metrics_->RpcHandled(service_, method_, type_, CodeName(methods->GetSendStatus().error_code()));
    }
    methods->Proceed();
  }

 private:
  ServerMetrics* const metrics_;
  const std::string type_;
  const std::chrono::steady_clock::time_point start_;
  std::string service_;
  std::string method_;
  RpcMethodMetrics counters_;
};

class RpcInterceptorFactory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RpcInterceptorFactory(ServerMetrics* metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new RpcInterceptor(metrics_, info);  // gRPC owns it
  }

 private:
  ServerMetrics* const metrics_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(
    ServerMetrics* metrics) {
  return std::make_unique<RpcInterceptorFactory>(metrics);
}

}  // namespace svi::server
