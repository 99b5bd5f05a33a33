// Reading state dicts that torch.save wrote (.pth), without running anything they say.
#ifndef SVI_ENGINE_WEIGHTS_TORCH_FILE_H_
#define SVI_ENGINE_WEIGHTS_TORCH_FILE_H_

#include <string>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// Maps the file (torch's zip format, since 1.6); the tensors are views that keep the mapping alive, copies
// where a view is not contiguous or not aligned. The pickle inside is read by an interpreter that knows dict,
// OrderedDict and tensors of plain storages; any other global, opcode, compressed or encrypted entry, or a
// storage outside of the file is refused. A dict nested in another spells "outer.inner"; values that are
// neither tensors nor dicts are refused, with their key. Throws std::invalid_argument with the file's name
// but not its path, std::system_error if it cannot be opened. `metadata` of the result is empty.
TensorFile ReadTorchFile(const std::string& path);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_TORCH_FILE_H_
