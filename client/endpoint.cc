#include "client/endpoint.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/client_interceptor.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace svi {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

constexpr size_t kMaxTokenBytes = 4096;

absl::Status Bad(std::string_view flag, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(flag), ": ", std::string(what)));
}

// Puts the token on every call. gRPC's own call credentials refuse plain text, loopback included.
class AddToken : public Interceptor {
 public:
  explicit AddToken(const std::string& authorization) : authorization_(authorization) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", authorization_);
    }
    methods->Proceed();
  }

 private:
  const std::string& authorization_;
};

class AddTokenToAll : public ClientInterceptorFactoryInterface {
 public:
  explicit AddTokenToAll(const std::string& token) : authorization_(absl::StrCat("Bearer ", token)) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo*) override { return new AddToken(authorization_); }

 private:
  const std::string authorization_;
};

// Of a file that must be there. `flag` names it in errors.
absl::StatusOr<std::string> ReadFile(std::string_view flag, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return Bad(flag, "the file cannot be read, or is empty");
  return text.str();
}

bool IsTokenText(std::string_view token) {
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return !token.empty() && token.size() <= kMaxTokenBytes;
}

// "" if there is none.
absl::StatusOr<std::string> FindToken(const Endpoint& options) {
  std::string token;
  if (!options.token_file.empty()) {
    auto text = ReadFile("--token-file", options.token_file);
    if (!text.ok()) return text.status();
    token = std::string(absl::StripAsciiWhitespace(*text));
  } else if (const char* set = std::getenv("SVI_TOKEN"); set != nullptr && *set != '\0') {
    token = set;
  } else {
    return std::string();
  }
  if (!IsTokenText(token))
    return Bad("--token-file", "a token is 1..4096 printable characters without spaces");
  return token;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> FindCredentials(const Endpoint& options) {
  const bool shows_certificate = !options.tls_cert.empty() || !options.tls_key.empty();
  if (!options.tls && options.tls_ca.empty()) {
    if (shows_certificate) return Bad("--tls-cert", "goes with --tls or --tls-ca");
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions ssl;
  const struct {
    const char* flag;
    const std::string& path;
    std::string& text;
  } files[] = {{"--tls-ca", options.tls_ca, ssl.pem_root_certs},
               {"--tls-cert", options.tls_cert, ssl.pem_cert_chain},
               {"--tls-key", options.tls_key, ssl.pem_private_key}};
  for (const auto& [flag, path, text] : files) {
    if (path.empty()) continue;
    auto read = ReadFile(flag, path);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  if (ssl.pem_cert_chain.empty() != ssl.pem_private_key.empty()) {
    return Bad("--tls-cert", "goes with --tls-key");
  }
  return grpc::SslCredentials(ssl);
}

struct Identity {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string token;  // "" for none
};

absl::StatusOr<Identity> FindIdentity(const Endpoint& options) {
  auto credentials = FindCredentials(options);
  if (!credentials.ok()) return credentials.status();
  auto token = FindToken(options);
  if (!token.ok()) return token.status();
  const bool plaintext = !options.tls && options.tls_ca.empty();
  if (!token->empty() && plaintext && !options.allow_plaintext && !IsLoopback(options.server)) {
    return Bad("--token-file",
               "a token for another machine needs TLS (--tls, --tls-ca), or --allow-plaintext");
  }
  return Identity{*std::move(credentials), *std::move(token)};
}

}  // namespace

void AddEndpointFlags(FlagParser* parser, Endpoint* options) {
  parser->AddString("server", &options->server,
                    "HOST:PORT of svi-server; svi takes the default from SVI_SERVER");
  parser->AddBool("tls", &options->tls, "use TLS, with the system's authorities");
  parser->AddString("tls-ca", &options->tls_ca, "use TLS; PEM file of the authority that signed the server");
  parser->AddString("tls-cert", &options->tls_cert, "PEM file of the certificate to show the server");
  parser->AddString("tls-key", &options->tls_key, "PEM file of its key");
  parser->AddString("tls-server-name", &options->tls_server_name,
                    "name in the server's certificate, if it is not the one in --server");
  parser->AddString("token-file", &options->token_file,
                    "file with the bearer token; without it, the environment's SVI_TOKEN");
  parser->AddBool("allow-plaintext", &options->allow_plaintext,
                  "send the token without TLS to another machine");
}

absl::Status CheckEndpoint(const Endpoint& options) { return FindIdentity(options).status(); }

std::shared_ptr<grpc::Channel> OpenChannel(const Endpoint& options, const grpc::ChannelArguments& arguments) {
  auto identity = FindIdentity(options);
  // Without credentials gRPC makes a channel on which every call fails.
  if (!identity.ok()) return grpc::CreateCustomChannel(options.server, nullptr, arguments);
  grpc::ChannelArguments all = arguments;
  if (!options.tls_server_name.empty()) all.SetSslTargetNameOverride(options.tls_server_name);
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  if (!identity->token.empty()) interceptors.push_back(std::make_unique<AddTokenToAll>(identity->token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(options.server, identity->credentials, all,
                                                                 std::move(interceptors));
}

bool IsLoopback(std::string_view address) {
  if (address.starts_with("unix:")) return true;
  const std::string host(address.substr(0, address.rfind(':')));
  if (host == "localhost" || host == "[::1]") return true;
  // A name may begin like an address, and be anywhere: 127.example.org.
  in_addr ip{};
  return inet_pton(AF_INET, host.c_str(), &ip) == 1 && ntohl(ip.s_addr) >> 24 == 127;
}

}  // namespace svi
