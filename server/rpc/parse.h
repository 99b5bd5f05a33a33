// Bytes of a request → message, saying which field is to blame when that fails.
//
// gRPC's own parsing answers UNIMPLEMENTED without a word to a request whose strings are not UTF-8; hence the
// service takes requests as bytes and parses them here.
#ifndef SVI_SERVER_RPC_PARSE_H_
#define SVI_SERVER_RPC_PARSE_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace svi::server {

// INVALID_ARGUMENT: bytes that are no such message (field `request`), or string fields that are not UTF-8
// (each by its path).
[[nodiscard]] absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message* request);
[[nodiscard]] absl::Status ParseRequestBytes(absl::string_view bytes, google::protobuf::Message* request);

// SHA-256 of a request, 32 bytes: the same request always hashes alike.
std::string HashOfRequest(const google::protobuf::Message& request);

// The other way; never fails for messages that fit into memory.
grpc::ByteBuffer SerializeResponse(const google::protobuf::Message& response);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_PARSE_H_
