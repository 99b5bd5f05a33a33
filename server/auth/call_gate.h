// What stands before every method: who calls, whether this method is for them, and whether it is not too
// often.
#ifndef SVI_SERVER_AUTH_CALL_GATE_H_
#define SVI_SERVER_AUTH_CALL_GATE_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/auth/authenticator.h"
#include "server/auth/rate_limiter.h"
#include "server/queue/tenant.h"

namespace svi::server {

struct CallIdentity {
  // Whose videos and training runs the caller makes and sees.
  std::string tenant = kDefaultTenant;
};

// Thread-safe.
class CallGate {
 public:
  // Clients may make `rate` calls a second for each tenant, `burst` at once; rate 0: as many as they like.
  CallGate(std::unique_ptr<Authenticator> authenticator, double rate, double burst)
      : authenticator_(std::move(authenticator)), limiter_(rate, burst) {}

  // Errors are the call's answer, as they are: UNAUTHENTICATED, PERMISSION_DENIED (see Authenticator) and
  // RESOURCE_EXHAUSTED (see RateLimiter).
  absl::StatusOr<CallIdentity> Admit(const grpc::ServerContextBase& context, Audience audience);

 private:
  const std::unique_ptr<Authenticator> authenticator_;
  RateLimiter limiter_;
};

// Admit; without a gate everybody who reaches the server is the default tenant and may do everything.
absl::StatusOr<CallIdentity> IdentifyCaller(CallGate* gate, const grpc::ServerContextBase& context,
                                            Audience audience = Audience::kClients);

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_CALL_GATE_H_
