// What services that take requests as bytes (see parse.h) have in common.
#ifndef SVI_SERVER_RPC_RAW_CALLS_H_
#define SVI_SERVER_RPC_RAW_CALLS_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/call_gate.h"
#include "server/rpc/executor.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"

namespace svi::server {

using RawUnary = grpc::ServerUnaryReactor;
using RawStream = grpc::ServerWriteReactor<grpc::ByteBuffer>;

// A stream that fails at once.
class FailedStream : public RawStream {
 public:
  explicit FailedStream(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

// Answers a unary call by `handlers->handle(caller, request)` on `executor`; RESOURCE_EXHAUSTED if `limit`
// tasks wait there, and what the gate says of callers who are not admitted. `in` and `out` are gRPC's, and
// live until Finish.
template <typename Handlers, typename Request, typename Response>
RawUnary* RunUnary(grpc::CallbackServerContext* context, const grpc::ByteBuffer* in, grpc::ByteBuffer* out,
                   Handlers* handlers,
                   absl::StatusOr<Response> (Handlers::*handle)(const CallIdentity&, const Request&),
                   Executor* executor, size_t limit, Audience audience = Audience::kClients) {
  RawUnary* reactor = context->DefaultReactor();
  const absl::StatusOr<CallIdentity> caller = IdentifyCaller(handlers->parts().gate, *context, audience);
  if (!caller.ok()) {
    reactor->Finish(ToGrpcStatus(caller.status()));
    return reactor;
  }
  auto task = [=] {
    Request request;
    absl::Status status = ParseRequest(*in, &request);
    if (status.ok()) {
      const absl::StatusOr<Response> response = (handlers->*handle)(*caller, request);
      status = response.status();
      if (status.ok()) *out = SerializeResponse(*response);
    }
    reactor->Finish(ToGrpcStatus(status));
  };
  if (!executor->TrySubmit(task, limit)) {
    reactor->Finish(ToGrpcStatus(TooBusy("too many requests of this kind are being worked on; try again")));
  }
  return reactor;
}

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_RAW_CALLS_H_
