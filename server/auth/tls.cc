#include "server/auth/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/ssl.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr unsigned kRefreshSeconds = 60;

absl::Status Bad(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what));
}

// gRPC says only in its log that it cannot use a file, and then refuses every handshake: better not to start.
absl::Status CheckFiles(const TlsFiles& files) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()),
                                                                  SSL_CTX_free);
  if (context == nullptr) return absl::InternalError("TLS cannot be set up");
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    return Bad("--tls-cert", "is not a readable PEM file with a certificate");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Bad("--tls-key", "is not a readable PEM file with the certificate's key");
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) return Bad("--tls-key", "is not the certificate's key");
  if (!files.client_ca.empty() &&
      SSL_CTX_load_verify_locations(context.get(), files.client_ca.c_str(), nullptr) != 1) {
    return Bad("--tls-client-ca", "is not a readable PEM file with certificates");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFiles& files) {
  if (files.certificate.empty()) {
    if (!files.key.empty()) return Bad("--tls-key", "goes with --tls-cert");
    if (!files.client_ca.empty()) return Bad("--tls-client-ca", "goes with --tls-cert");
    return grpc::InsecureServerCredentials();
  }
  if (files.key.empty()) return Bad("--tls-cert", "goes with --tls-key");
  if (auto status = CheckFiles(files); !status.ok()) return status;
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.client_ca, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace svi::server
