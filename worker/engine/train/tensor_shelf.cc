#include "worker/engine/train/tensor_shelf.h"

#include <utility>

namespace svi::engine {
namespace {

int64_t BytesOf(const TensorFile& file) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace

TensorFile TensorShelf::Get(const std::string& path) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto known = files_.find(path); known != files_.end()) return known->second;
  }
  TensorFile file = ReadSafetensors(path);
  const int64_t bytes = BytesOf(file);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > room_ || files_.contains(path)) return file;
    room_ -= bytes;
  }
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();  // out of the mapped file
  const std::lock_guard<std::mutex> lock(mutex_);
  return files_.emplace(path, std::move(file)).first->second;
}

}  // namespace svi::engine
