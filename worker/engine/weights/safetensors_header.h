// The header of a safetensors file: parsed and checked before any of the data is touched.
#ifndef SVI_ENGINE_WEIGHTS_SAFETENSORS_HEADER_H_
#define SVI_ENGINE_WEIGHTS_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/engine/weights/dtype.h"

namespace svi::engine {

struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes, from the start of the file
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  // by name; their spans tile the data exactly
  std::map<std::string, std::string> metadata;
};

// The largest header that is read: the limit of the reference implementation.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

// `file`: all of the file's bytes. Throws std::invalid_argument, naming the tensor, unless every size agrees
// with every other: the spans lie in the data, do not overlap, leave no hole, and match shape and dtype.
SafetensorsHeader ParseSafetensorsHeader(std::string_view file, const std::string& file_name);
// The same from the beginning of a file of `file_size` bytes: the header has to be in it, the data need not.
SafetensorsHeader ParseSafetensorsHeader(std::string_view beginning, uint64_t file_size,
                                         const std::string& file_name);

// A JSON object in which no key occurs twice at one place and nothing nests deeper than `max_depth`.
nlohmann::json ParseStrictJsonObject(std::string_view text, int max_depth, const std::string& file_name);

[[noreturn]] void RefuseFile(const std::string& file_name, const std::string& why);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_SAFETENSORS_HEADER_H_
