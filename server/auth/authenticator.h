// From a call to who makes it, and whether it may.
#ifndef SVI_SERVER_AUTH_AUTHENTICATOR_H_
#define SVI_SERVER_AUTH_AUTHENTICATOR_H_

#include <grpcpp/server_context.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/artifacts/file_version.h"
#include "server/auth/token_table.h"

namespace svi::server {

// Whom a method is for.
enum class Audience {
  kClients,    // clients and operators
  kOperators,  // operators
  kWorkers,    // workers
  kEverybody,  // who has a token: what workers need of the public API
};

// The SHA-256 of the token that came with a call, 32 bytes; nullopt: none did.
std::optional<std::string> TokenHashOf(const grpc::ServerContextBase& context);

// Thread-safe. Tokens come with a call as "authorization: Bearer TOKEN".
class Authenticator {
 public:
  using Clock = std::function<absl::Time()>;

  // Without a file everybody may do everything, as the default tenant. INVALID_ARGUMENT: what is in the file
  // is wrong; UNAVAILABLE: it cannot be read.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Open(const std::string& token_file,
                                                             Clock clock = absl::Now);

  // UNAUTHENTICATED: no token, or one that nobody has; PERMISSION_DENIED: it is good for other methods. The
  // file is looked at again once a second at most, and read when it has changed; one that is then wrong is
  // logged, and what it said before stays in force.
  absl::StatusOr<Caller> Identify(const grpc::ServerContextBase& context, Audience audience);
  // Whose token has this SHA-256 now; nullopt: nobody's. Looks at the file as Identify does.
  std::optional<Caller> Find(const std::string& token_hash);

 private:
  Authenticator(std::string token_file, Clock clock);
  absl::StatusOr<TokenTable> Read() const;
  void ReadAgainIfChanged(absl::Time now);

  const std::string file_;
  const Clock clock_;
  absl::Mutex mu_;
  TokenTable table_ ABSL_GUARDED_BY(mu_);
  FileVersion version_ ABSL_GUARDED_BY(mu_);
  absl::Time looked_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_AUTHENTICATOR_H_
