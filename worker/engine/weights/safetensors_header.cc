#include "worker/engine/weights/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

namespace svi::engine {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read in place");

// At most this many axes: more than any checkpoint has, and what LibTorch's kernels are tried with.
constexpr size_t kMaxAxes = 16;

// Names come from the file, which may be anybody's: keep messages short.
std::string Quoted(const std::string& name) {
  constexpr size_t kLimit = 120;
  return "\"" + (name.size() <= kLimit ? name : name.substr(0, kLimit) + "...") + "\"";
}

// Bytes of a tensor, or nothing if that does not fit 63 bits.
std::optional<uint64_t> ByteSize(const std::vector<int64_t>& shape, Dtype dtype) {
  int64_t bytes = ItemSize(dtype);
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

TensorEntry ParseEntry(const std::string& name, const json& value, uint64_t data_begin, uint64_t data_size,
                       const std::string& file_name) {
  const auto refuse = [&](const std::string& why) {
    RefuseFile(file_name, "tensor " + Quoted(name) + " " + why);
  };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    refuse("is not described by exactly dtype, shape and data_offsets");
  }
  const json& dtype = value["dtype"];
  const json& shape = value["shape"];
  const json& offsets = value["data_offsets"];

  TensorEntry entry;
  entry.name = name;
  if (!dtype.is_string()) refuse("has a dtype that is not a string");
  const auto known = ParseDtype(dtype.get<std::string>());
  if (!known) refuse("has the unknown dtype " + Quoted(dtype.get<std::string>()));
  entry.dtype = *known;

  if (!shape.is_array() || shape.size() > kMaxAxes)
    refuse("has a shape that is not a list of at most 16 sizes");
  for (const json& extent : shape) {
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > uint64_t{INT64_MAX}) {
      refuse("has a shape with something other than sizes in it");
    }
    entry.shape.push_back(extent.get<int64_t>());
  }

  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    refuse("has data_offsets that are not two sizes");
  }
  const uint64_t begin = offsets[0].get<uint64_t>();
  const uint64_t end = offsets[1].get<uint64_t>();
  if (begin > end || end > data_size) refuse("lies outside the file's data");
  const auto bytes = ByteSize(entry.shape, entry.dtype);
  if (!bytes || *bytes != end - begin) refuse("has data_offsets that do not match its shape and dtype");
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  return entry;
}

// Sorted by place, each span has to begin where the one before ended.
void CheckTiling(const std::vector<TensorEntry>& entries, uint64_t data_begin, uint64_t file_size,
                 const std::string& file_name) {
  std::vector<const TensorEntry*> by_place;
  for (const TensorEntry& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t place = data_begin;
  for (const TensorEntry* entry : by_place) {
    if (entry->begin < place) RefuseFile(file_name, "tensor " + Quoted(entry->name) + " overlaps another");
    if (entry->begin > place) RefuseFile(file_name, "there is a hole before tensor " + Quoted(entry->name));
    place = entry->end;
  }
  if (place != file_size) {
    RefuseFile(file_name,
               "has " + std::to_string(file_size - place) + " bytes of data that belong to no tensor");
  }
}

}  // namespace

void RefuseFile(const std::string& file_name, const std::string& why) {
  throw std::invalid_argument(file_name + ": " + why);
}

json ParseStrictJsonObject(std::string_view text, int max_depth, const std::string& file_name) {
  // The parser keeps the last of two equal keys and says nothing, so they are caught while it runs.
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > max_depth) RefuseFile(file_name, "nests too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      RefuseFile(file_name, "has " + Quoted(parsed.get<std::string>()) + " twice");
    }
    return true;
  };
  json root;
  try {
    root = json::parse(text.begin(), text.end(), check);
  } catch (const json::exception&) {
    RefuseFile(file_name, "is not valid JSON where it has to be");
  }
  if (!root.is_object()) RefuseFile(file_name, "has something other than a JSON object where one has to be");
  return root;
}

SafetensorsHeader ParseSafetensorsHeader(std::string_view file, const std::string& file_name) {
  return ParseSafetensorsHeader(file, file.size(), file_name);
}

SafetensorsHeader ParseSafetensorsHeader(std::string_view beginning, uint64_t file_size,
                                         const std::string& file_name) {
  uint64_t length = 0;
  if (beginning.size() < sizeof(length)) RefuseFile(file_name, "is too short to be a safetensors file");
  std::memcpy(&length, beginning.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    RefuseFile(file_name, "says its header has " + std::to_string(length) + " bytes; at most " +
                              std::to_string(kMaxHeaderBytes) + " are allowed");
  }
  if (length > beginning.size() - sizeof(length)) {
    RefuseFile(file_name, "ends inside its header of " + std::to_string(length) + " bytes");
  }
  const std::string_view text = beginning.substr(sizeof(length), length);
  if (text.empty() || text.front() != '{') RefuseFile(file_name, "has a header that does not begin with {");
  const uint64_t data_begin = sizeof(length) + length;
  const json root = ParseStrictJsonObject(text, 3, file_name);

  SafetensorsHeader header;
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) RefuseFile(file_name, "has __metadata__ that is not an object");
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string())
          RefuseFile(file_name, "has metadata " + Quoted(key) + " that is not a string");
        header.metadata.emplace(key, text_value.get<std::string>());
      }
      continue;
    }
    header.entries.push_back(ParseEntry(name, value, data_begin, file_size - data_begin, file_name));
  }
  CheckTiling(header.entries, data_begin, file_size, file_name);
  return header;
}

}  // namespace svi::engine
