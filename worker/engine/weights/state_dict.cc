#include <algorithm>

#include "worker/engine/weights/printable.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/unpickler.h"

namespace svi::engine {
namespace {

constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxNameBytes = 1024;
constexpr int kMaxDepth = 16;

class Flattener {
 public:
  explicit Flattener(const std::string& file_name) : file_name_(file_name) {}

  // A pickle may hold one dict in many places, and in itself: depth, names and the number of steps are
  // bounded.
  void Add(const PickleDict& dict, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) RefuseFile(file_name_, "has dicts nested deeper than 16 in its pickle");
    for (const auto& [key, value] : dict.items) {
      if (++steps_ > kMaxTensors) RefuseFile(file_name_, "has more than 100000 tensors");
      const std::string name = prefix + Key(key);
      if (name.size() > kMaxNameBytes)
        RefuseFile(file_name_, "has a tensor's name of more than 1024 bytes: " + Printable(name));
      if (const auto* inner = std::get_if<PickleDict*>(&value)) {
        Add(**inner, name + ".", depth + 1);
      } else if (const auto* tensor = std::get_if<PickledTensor*>(&value)) {
        if (!tensors_.emplace(name, **tensor).second)
          RefuseFile(file_name_, "has tensor " + Printable(name) + " twice");
      } else {
        RefuseFile(file_name_,
                   "has under " + Printable(name) + " something that is neither a tensor nor a dict");
      }
    }
  }

  std::map<std::string, PickledTensor> Take() { return std::move(tensors_); }

 private:
  std::string Key(const PickleValue& key) const {
    const auto* text = std::get_if<std::string_view>(&key);
    if (text == nullptr) RefuseFile(file_name_, "has a key in its pickle that is not text");
    if (text->size() > kMaxNameBytes || !std::all_of(text->begin(), text->end(), IsPrintable))
      RefuseFile(file_name_, "has a key that is no tensor's name: " + Printable(*text));
    return std::string(*text);
  }

  const std::string& file_name_;
  size_t steps_ = 0;
  std::map<std::string, PickledTensor> tensors_;
};

}  // namespace

std::map<std::string, PickledTensor> UnpickleStateDict(std::string_view pickle,
                                                       const std::string& file_name) {
  PickleHeap heap;
  const PickleValue root = Unpickle(pickle, heap, file_name);
  const auto* dict = std::get_if<PickleDict*>(&root);
  if (dict == nullptr) RefuseFile(file_name, "holds something other than a dict of tensors");
  Flattener flattener(file_name);
  flattener.Add(**dict, "", 1);
  return flattener.Take();
}

}  // namespace svi::engine
