// Who calls: the one place where a call's credential becomes a tenant.
#ifndef SVI_SERVER_RPC_CALL_IDENTITY_H_
#define SVI_SERVER_RPC_CALL_IDENTITY_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/statusor.h"
#include "server/queue/tenant.h"

namespace svi::server {

struct CallIdentity {
  // Whose videos and training runs the caller makes and sees.
  std::string tenant = kDefaultTenant;
};

// Errors are the call's answer, as they are.
[[nodiscard]] inline absl::StatusOr<CallIdentity> IdentifyCaller(const grpc::CallbackServerContext&) {
  // A server without credentials: everybody who reaches it is the default tenant.
  return CallIdentity();
}

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_CALL_IDENTITY_H_
