#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>
#include <system_error>

#include "worker/engine/weights/mapped_file.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/safetensors_index.h"

namespace svi::engine {
namespace {

using nlohmann::json;

// An index that points out of its folder would make a checkpoint read any file of the machine.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

std::map<std::string, std::string> ReadSafetensorsIndex(const std::string& index_path) {
  const std::string name = BaseName(index_path);
  const auto file = MappedFile::Open(index_path);
  if (file->bytes().size() > kMaxHeaderBytes) RefuseFile(name, "is larger than 100 MB");
  const json root = ParseStrictJsonObject(file->bytes(), 8, name);
  const auto found = root.find("weight_map");
  if (found == root.end() || !found->is_object() || found->empty()) RefuseFile(name, "has no weight_map");
  std::map<std::string, std::string> result;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string() || !IsPlainFileName(shard.get<std::string>())) {
      RefuseFile(name, "gives \"" + tensor + "\" a file that is not a plain file name");
    }
    result.emplace(tensor, shard.get<std::string>());
  }
  return result;
}

TensorFile ReadSafetensorsShards(const std::string& index_path) {
  const auto weight_map = ReadSafetensorsIndex(index_path);
  const auto dir = std::filesystem::path(index_path).parent_path();
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map) shards.insert(shard);

  TensorFile result;
  std::map<std::string, std::string> origin;
  for (const std::string& shard : shards) {
    TensorFile part = ReadSafetensors((dir / shard).string());
    result.metadata.merge(part.metadata);
    for (auto& [name, tensor] : part.tensors) {
      const auto [other, inserted] = origin.emplace(name, shard);
      if (!inserted) RefuseFile(shard, "has tensor \"" + name + "\", which " + other->second + " has too");
      result.tensors.emplace(name, std::move(tensor));
    }
  }
  for (const auto& [tensor, shard] : weight_map) {
    const auto found = origin.find(tensor);
    if (found == origin.end() || found->second != shard) {
      RefuseFile(BaseName(index_path),
                 "looks for tensor \"" + tensor + "\" in " + shard + ", which does not have it");
    }
  }
  return result;
}

TensorFile ReadSafetensorsFolder(const std::string& dir, const std::string& stem) {
  const auto base = std::filesystem::path(dir);
  const std::string single = (base / (stem + ".safetensors")).string();
  const std::string index = single + ".index.json";
  std::error_code ignored;
  if (std::filesystem::exists(single, ignored)) return ReadSafetensors(single);
  if (std::filesystem::exists(index, ignored)) return ReadSafetensorsShards(index);
  throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory),
                          BaseName(single) + " or " + BaseName(index));
}

}  // namespace svi::engine
