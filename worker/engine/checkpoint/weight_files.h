// Which of a folder's files hold a component's weights.
#ifndef SVI_ENGINE_CHECKPOINT_WEIGHT_FILES_H_
#define SVI_ENGINE_CHECKPOINT_WEIGHT_FILES_H_

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/engine/checkpoint/component.h"

namespace svi::engine {

struct ComponentWeights {
  std::map<std::string, at::Tensor> tensors;  // under the file's names
  Layout layout = Layout::kDiffusers;
};

// Looks at every safetensors file, every index of such files and, if none of these will do, every .pth of the
// folder, and takes the one that has the component's tensors; what the files are called only decides between
// several. `relative`: the folder within the checkpoint, for messages ("" or "vae/"). Nothing if no file has
// them. Throws MissingFile if a shard is missing, std::invalid_argument if several files would do or the
// only ones are broken.
std::optional<ComponentWeights> FindWeights(Component component, const std::filesystem::path& folder,
                                            const std::string& relative);

std::vector<std::string> NamesOf(const std::map<std::string, at::Tensor>& tensors);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_WEIGHT_FILES_H_
