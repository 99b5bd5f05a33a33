// An interpreter of pickles that can make a state dict and nothing else
// (https://github.com/python/cpython/blob/main/Lib/pickletools.py describes the machine).
#ifndef SVI_ENGINE_WEIGHTS_UNPICKLER_H_
#define SVI_ENGINE_WEIGHTS_UNPICKLER_H_

#include <map>
#include <string>
#include <string_view>

#include "worker/engine/weights/pickle_value.h"

namespace svi::engine {

// The opcodes of protocols 2 to 5 with which torch.save writes a dict or OrderedDict of tensors, numbers,
// text and containers of those. A refused opcode, a global outside of pickle_value.cc's list, a broken stream
// and more than 2 million opcodes or 64 MiB throw std::invalid_argument, its message beginning with
// `file_name`. The value lives as long as `heap` and `pickle`.
PickleValue Unpickle(std::string_view pickle, PickleHeap& heap, const std::string& file_name);

// The tensors of a pickled dict by name, which for a dict inside of another is "outer.inner"; the attributes
// of an OrderedDict (a module's `_metadata`) are dropped. Throws std::invalid_argument like Unpickle, and for
// a value that is neither a tensor nor a dict, a key that is not printable ASCII of at most 1024 bytes, a
// name twice, more than 100000 tensors, and dicts nested deeper than 16. The tensors refer into `pickle`.
std::map<std::string, PickledTensor> UnpickleStateDict(std::string_view pickle, const std::string& file_name);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_UNPICKLER_H_
