// The index.json of weights that are spread over several safetensors files.
#ifndef SVI_ENGINE_WEIGHTS_SAFETENSORS_INDEX_H_
#define SVI_ENGINE_WEIGHTS_SAFETENSORS_INDEX_H_

#include <map>
#include <string>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// Tensor name → name of the file beside the index that has it. Throws std::invalid_argument, with the index's
// name but not its path, if it is malformed or a file name would leave the folder.
std::map<std::string, std::string> ReadSafetensorsIndex(const std::string& index_path);

// All tensors of all shards. Throws std::invalid_argument if a tensor is not where the index says or is in
// two shards, std::system_error if a shard is missing.
TensorFile ReadSafetensorsShards(const std::string& index_path);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_SAFETENSORS_INDEX_H_
