#include "server/auth/open_streams.h"

#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

namespace svi::server {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

// One call's. gRPC destroys it with the call's context, which is therefore there for as long as it is known.
class StreamInterceptor final : public grpc::experimental::Interceptor {
 public:
  StreamInterceptor(OpenStreams* streams, grpc::ServerContextBase* context)
      : streams_(streams), context_(context) {}
  ~StreamInterceptor() override { streams_->Closed(context_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      streams_->Opened(context_);
    }
    methods->Proceed();
  }

 private:
  OpenStreams* const streams_;
  grpc::ServerContextBase* const context_;
};

namespace {

class StreamInterceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit StreamInterceptors(OpenStreams* streams) : streams_(streams) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    // Other calls are over before it matters.
    if (info->type() == ServerRpcInfo::Type::UNARY) return nullptr;
    return new StreamInterceptor(streams_, info->server_context());
  }

 private:
  OpenStreams* const streams_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> OpenStreams::MakeInterceptors() {
  return std::make_unique<StreamInterceptors>(this);
}

void OpenStreams::Opened(grpc::ServerContextBase* context) {
  const std::optional<std::string> hash = TokenHashOf(*context);
  if (!hash) return;
  std::optional<Caller> caller = authenticator_->Find(*hash);
  if (!caller) return;
  absl::MutexLock lock(&mu_);
  streams_[context] = {*hash, *std::move(caller)};
}

void OpenStreams::Closed(grpc::ServerContextBase* context) {
  absl::MutexLock lock(&mu_);
  streams_.erase(context);
}

void OpenStreams::EndRevoked() {
  absl::MutexLock lock(&mu_);
  for (auto& [context, stream] : streams_) {
    if (stream.cancelled) continue;
    const std::optional<Caller> now = authenticator_->Find(stream.token_hash);
    if (now && now->tenant == stream.caller.tenant && now->role == stream.caller.role) continue;
    stream.cancelled = true;
    spdlog::info("a stream of {} ends: its token is not good any more", stream.caller.name);
    context->TryCancel();
  }
}

}  // namespace svi::server
