// Reading and writing safetensors files (https://github.com/huggingface/safetensors, "Format").
#ifndef SVI_ENGINE_WEIGHTS_SAFETENSORS_H_
#define SVI_ENGINE_WEIGHTS_SAFETENSORS_H_

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <string_view>

namespace svi::engine {

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Memory-maps the file; the tensors are views that keep the mapping alive. Throws std::invalid_argument, with
// the file's name but not its path, on a truncated or lying header (sizes, overlaps, offsets, dtypes,
// duplicates).
TensorFile ReadSafetensors(const std::string& path);

// The same from bytes in memory; the tensors own copies. `name` is for messages.
TensorFile ParseSafetensors(std::string_view bytes, const std::string& name);

// One component's folder: `<stem>.safetensors`, or the shards that `<stem>.safetensors.index.json` lists.
TensorFile ReadSafetensorsFolder(const std::string& dir, const std::string& stem);

// The file's bytes; the same tensors and metadata give the same bytes.
std::string SerializeSafetensors(const TensorFile& file);

// Streams to a file beside `path`, fsyncs and renames; several processes may write the same path. Throws
// std::runtime_error when that fails.
void WriteSafetensors(const std::string& path, const TensorFile& file);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_SAFETENSORS_H_
