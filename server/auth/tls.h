// TLS of the API's port.
#ifndef SVI_SERVER_AUTH_TLS_H_
#define SVI_SERVER_AUTH_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

// PEM files. They are looked at again every minute: a renewed certificate is used without a restart.
struct TlsFiles {
  std::string certificate;  // with its chain; empty: plain text
  std::string key;
  std::string client_ca;  // empty: clients show no certificate; else they must, one that this signed
};

// INVALID_ARGUMENT names the flag (--tls-cert, --tls-key, --tls-client-ca) and what is wrong with its file.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFiles& files);

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_TLS_H_
