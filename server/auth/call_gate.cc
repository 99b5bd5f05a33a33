#include "server/auth/call_gate.h"

#include <utility>

#include "absl/time/clock.h"

namespace svi::server {

absl::StatusOr<CallIdentity> CallGate::Admit(const grpc::ServerContextBase& context, Audience audience) {
  auto caller = authenticator_->Identify(context, audience);
  if (!caller.ok()) return caller.status();
  // Workers are ours, and their calls are few and long.
  if (caller->role != Role::kWorker) {
    if (auto status = limiter_.Take(caller->tenant, absl::Now()); !status.ok()) return status;
  }
  return CallIdentity{std::move(caller->tenant)};
}

absl::StatusOr<CallIdentity> IdentifyCaller(CallGate* gate, const grpc::ServerContextBase& context,
                                            Audience audience) {
  if (gate == nullptr) return CallIdentity();
  return gate->Admit(context, audience);
}

}  // namespace svi::server
