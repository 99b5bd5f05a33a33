#include "server/rpc/parse.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "client/utf8.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Collects the string fields of a serialised message that are not UTF-8. False if it is not even wire format.
bool FindBadText(absl::string_view bytes, const Descriptor* type, const std::string& prefix,
                 std::vector<FieldViolation>* bad) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  std::map<int, int> seen;
  while (const uint32_t tag = in.ReadTag()) {
    const FieldDescriptor* field = type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    const bool is_text = field != nullptr && field->type() == FieldDescriptor::TYPE_STRING;
    const bool is_message = field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE;
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
        (!is_text && !is_message)) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    uint32_t length = 0;
    const int start = in.ReadVarint32(&length) ? in.CurrentPosition() : -1;
    if (start < 0 || length > bytes.size() - static_cast<size_t>(start) ||
        !in.Skip(static_cast<int>(length))) {
      return false;
    }
    const absl::string_view value = bytes.substr(static_cast<size_t>(start), length);
    std::string path = absl::StrCat(prefix, std::string(field->name()));
    if (field->is_repeated()) absl::StrAppend(&path, "[", seen[field->number()]++, "]");
    if (is_text && !IsUtf8(value)) bad->push_back({path, "must be valid UTF-8"});
    if (is_message && !FindBadText(value, field->message_type(), path + ".", bad)) return false;
  }
  return in.ConsumedEntireMessage();
}

// protobuf writes a line to stderr for every text that is not UTF-8: whoever sends those could fill the log.
// The caller is told by the status.
void LogFatalOnly(google::protobuf::LogLevel level, const char* file, int line, const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL)
    std::fprintf(stderr, "%s:%d: %s\n", file, line, message.c_str());
}

}  // namespace

absl::Status ParseRequestBytes(absl::string_view bytes, google::protobuf::Message* request) {
  [[maybe_unused]] static auto* before = google::protobuf::SetLogHandler(LogFatalOnly);
  if (request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  std::vector<FieldViolation> bad;
  const std::string type(request->GetDescriptor()->full_name());
  if (!FindBadText(bytes, request->GetDescriptor(), "", &bad) || bad.empty()) {
    bad = {{"request", absl::StrCat("is not a valid ", type, " message")}};
  }
  return InvalidFields(bad);
}

absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message* request) {
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) {
    return InvalidFields(
        {{"request", "cannot be read: is it compressed in a way that the server does not know?"}});
  }
  if (slices.size() == 1) {
    return ParseRequestBytes({reinterpret_cast<const char*>(slices[0].begin()), slices[0].size()}, request);
  }
  std::string flat;
  flat.reserve(bytes.Length());
  for (const auto& slice : slices) flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return ParseRequestBytes(flat, request);
}

std::string HashOfRequest(const google::protobuf::Message& request) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&out);
  }
  return Sha256::Of(bytes);
}

grpc::ByteBuffer SerializeResponse(const google::protobuf::Message& response) {
  const size_t size = response.ByteSizeLong();
  grpc::Slice slice(size);
  response.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace svi::server
