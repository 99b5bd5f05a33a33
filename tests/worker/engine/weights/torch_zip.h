// Writes archives and pickles byte by byte, so that tests can make what no library would write.
#ifndef SVI_TESTS_WORKER_ENGINE_WEIGHTS_TORCH_ZIP_H_
#define SVI_TESTS_WORKER_ENGINE_WEIGHTS_TORCH_ZIP_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace svi::engine {

template <typename T>
std::string Little(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// Where the fields of a directory's record lie, from its signature on.
inline constexpr size_t kRecordFlags = 8, kRecordMethod = 10, kRecordPacked = 20, kRecordSize = 24,
                        kRecordExtra = 30, kRecordDisk = 34, kRecordOffset = 42;

// An archive of stored entries in the folder "x".
inline std::string Zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string archive, directory;
  for (const auto& [short_name, content] : entries) {
    const std::string name = "x/" + short_name;
    const auto size = static_cast<uint32_t>(content.size());
    const auto name_size = static_cast<uint16_t>(name.size());
    directory += "PK\1\2" + Little<uint16_t>(20) + Little<uint16_t>(20) + std::string(8, '\0') +
                 Little<uint32_t>(0) + Little(size) + Little(size) + Little(name_size) +
                 std::string(12, '\0') + Little(static_cast<uint32_t>(archive.size())) + name;
    archive += "PK\3\4" + Little<uint16_t>(20) + std::string(8, '\0') + Little<uint32_t>(0) + Little(size) +
               Little(size) + Little(name_size) + Little<uint16_t>(0) + name + content;
  }
  const auto count = static_cast<uint16_t>(entries.size());
  return archive + directory + "PK\5\6" + Little<uint32_t>(0) + Little(count) + Little(count) +
         Little(static_cast<uint32_t>(directory.size())) + Little(static_cast<uint32_t>(archive.size())) +
         Little<uint16_t>(0);
}

inline std::string Text(const std::string& text) {
  return "X" + Little(static_cast<uint32_t>(text.size())) + text;
}

inline std::string Long(int64_t value) { return "\x8a\x08" + Little(value); }

// torch.<storage>Storage "0" of `count` elements, by persistent id.
inline std::string Storage(const std::string& type, int64_t count, const std::string& key = "0") {
  return "(" + Text("storage") + "ctorch\n" + type + "\n" + Text(key) + Text("cpu") + Long(count) + "tQ";
}

inline std::string Longs(const std::vector<int64_t>& values) {
  std::string bytes = "(";
  for (const int64_t value : values) bytes += Long(value);
  return bytes + "t";
}

inline const std::string kNoHooks = "ccollections\nOrderedDict\n)R";

inline std::string Tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& sizes,
                          const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + Long(offset) + Longs(sizes) + Longs(strides) +
         "\x89" + kNoHooks + "tR";
}

inline std::string Pickle(const std::string& opcodes) { return "\x80\x02" + opcodes + "."; }

// {"a": <what `opcodes` leave>}
inline std::string DictOfOne(const std::string& opcodes) { return Pickle("}(" + Text("a") + opcodes + "u"); }

// A whole file whose storage "0" has these bytes.
inline std::string TorchFileOf(const std::string& pickle, const std::string& storage) {
  return Zip({{"data.pkl", pickle}, {"byteorder", "little"}, {"data/0", storage}});
}

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_WEIGHTS_TORCH_ZIP_H_
