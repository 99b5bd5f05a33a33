// What the pickle of a state dict is made of.
#ifndef SVI_ENGINE_WEIGHTS_PICKLE_VALUE_H_
#define SVI_ENGINE_WEIGHTS_PICKLE_VALUE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "worker/engine/weights/dtype.h"

namespace svi::engine {

// A storage that the pickle refers to; nobody has looked at it.
struct PickledStorage {
  std::string_view key;        // the file's entry is data/<key>
  std::optional<Dtype> dtype;  // without one, it counts bytes
  int64_t count = 0;           // elements of dtype, or bytes; not negative
};

// A tensor as the pickle tells it: nothing is checked against the storage.
struct PickledTensor {
  std::string_view storage;
  Dtype dtype = Dtype::kF32;
  int64_t storage_numel = 0;     // in elements of dtype
  int64_t offset = 0;            // all of these in elements, none negative
  std::vector<int64_t> sizes;    // at most 16 axes
  std::vector<int64_t> strides;  // as many as sizes
};

// A function or class that the pickle may name. Nothing of Python stands behind it.
struct PickleGlobal {
  enum class What { kOrderedDict, kTensorV2, kTensorV3, kParameter, kStorage, kUntypedStorage, kDtype };
  std::string_view module;
  std::string_view name;
  What what;
  Dtype dtype = Dtype::kF32;  // of kStorage and kDtype
};

struct PickleTuple;
struct PickleList;
struct PickleDict;
// None, and the values that state dicts and their metadata have. Text is a part of the pickle's bytes; the
// objects belong to a PickleHeap, so that values may refer to each other in any way, in circles too.
using PickleValue = std::variant<std::monostate, bool, int64_t, double, std::string_view, const PickleGlobal*,
                                 PickleTuple*, PickleList*, PickleDict*, PickledStorage*, PickledTensor*>;

struct PickleTuple {
  std::vector<PickleValue> items;
};

struct PickleList {
  std::vector<PickleValue> items;
};

struct PickleDict {
  std::vector<std::pair<PickleValue, PickleValue>> items;
  bool ordered = false;  // made by OrderedDict: may have attributes
};

struct PickleHeap {
  std::deque<PickleTuple> tuples;
  std::deque<PickleList> lists;
  std::deque<PickleDict> dicts;
  std::deque<PickledStorage> storages;
  std::deque<PickledTensor> tensors;
};

// The global of that name, or null if state dicts have no use for it.
const PickleGlobal* FindPickleGlobal(std::string_view module, std::string_view name);

// What calling `global` with `arguments` makes. Throws std::invalid_argument, its message beginning with
// `file_name`, when it cannot be called so.
PickleValue CallPickleGlobal(const PickleGlobal& global, const PickleTuple& arguments, PickleHeap& heap,
                             const std::string& file_name);

// The storage that a persistent id ("storage", type, key, place, count) stands for. Throws like
// CallPickleGlobal.
PickleValue LoadPickledStorage(const PickleValue& id, PickleHeap& heap, const std::string& file_name);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_PICKLE_VALUE_H_
