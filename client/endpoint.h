// How svi and svi-worker reach svi-server: its address, TLS, and the token that says who they are.
#ifndef SVI_CLIENT_ENDPOINT_H_
#define SVI_CLIENT_ENDPOINT_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/flags.h"

namespace svi {

struct Endpoint {
  std::string server = "127.0.0.1:50051";  // HOST:PORT
  // PEM files. A CA file switches TLS on, as does `tls` alone, with the system's authorities.
  bool tls = false;
  std::string tls_ca;
  // What this side shows a server that asks for a certificate.
  std::string tls_cert;
  std::string tls_key;
  // The name that the server's certificate must have, if not the one in `server`.
  std::string tls_server_name;
  // File with the bearer token; empty: the environment's SVI_TOKEN, or none.
  std::string token_file;
  // Allows a token to be sent in plain text to another machine.
  bool allow_plaintext = false;
};

// --server, --tls, --tls-ca, --tls-cert, --tls-key, --tls-server-name, --token-file, --allow-plaintext.
void AddEndpointFlags(FlagParser* parser, Endpoint* options);

// OK if a channel can be made of this: INVALID_ARGUMENT names the flag, and says nothing of what a file
// holds.
absl::Status CheckEndpoint(const Endpoint& options);

// Reads the files, at every call: a renewed token or certificate is used by the next channel. Where
// CheckEndpoint has something to say, every call on the channel fails.
std::shared_ptr<grpc::Channel> OpenChannel(const Endpoint& options, const grpc::ChannelArguments& arguments);

// Whether HOST:PORT, or a unix: address, is on this machine.
bool IsLoopback(std::string_view address);

}  // namespace svi

#endif  // SVI_CLIENT_ENDPOINT_H_
