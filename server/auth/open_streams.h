// The streams that are open, so that those can be ended whose token is not good any more.
#ifndef SVI_SERVER_AUTH_OPEN_STREAMS_H_
#define SVI_SERVER_AUTH_OPEN_STREAMS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/auth/authenticator.h"

namespace svi::server {

// Thread-safe.
class OpenStreams {
 public:
  // `authenticator` is borrowed.
  explicit OpenStreams(Authenticator* authenticator) : authenticator_(authenticator) {}

  // What tells this of the streams; for a gRPC server, which must be gone before this is.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptors();
  // Cancels every stream whose token was taken back, has expired or is another caller's since it began.
  void EndRevoked() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class StreamInterceptor;
  struct Entry {
    std::string token_hash;
    Caller caller;
    bool cancelled = false;
  };
  // Nothing happens for a call that no token admits.
  void Opened(grpc::ServerContextBase* context) ABSL_LOCKS_EXCLUDED(mu_);
  void Closed(grpc::ServerContextBase* context) ABSL_LOCKS_EXCLUDED(mu_);

  Authenticator* const authenticator_;
  absl::Mutex mu_;
  std::map<grpc::ServerContextBase*, Entry> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_OPEN_STREAMS_H_
