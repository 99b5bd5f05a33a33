#include "server/rpc/parse.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Length of the UTF-8 character at the start of `text`, 0 if there is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is beyond U+10FFFF.
  if (first == 0xE0 && byte(1) < 0xA0) return 0;
  if (first == 0xED && byte(1) > 0x9F) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;
  if (first == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

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
    if (is_text && !IsValidUtf8(value)) bad->push_back({path, "must be valid UTF-8"});
    if (is_message && !FindBadText(value, field->message_type(), path + ".", bad)) return false;
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status ParseRequestBytes(absl::string_view bytes, google::protobuf::Message* request) {
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

grpc::ByteBuffer SerializeResponse(const google::protobuf::Message& response) {
  const size_t size = response.ByteSizeLong();
  grpc::Slice slice(size);
  response.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace svi::server
