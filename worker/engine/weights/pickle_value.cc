#include "worker/engine/weights/pickle_value.h"

#include "worker/engine/weights/printable.h"
#include "worker/engine/weights/safetensors_header.h"

namespace svi::engine {
namespace {

using What = PickleGlobal::What;

constexpr size_t kMaxAxes = 16;  // as many as safetensors files may have here

constexpr PickleGlobal kGlobals[] = {
    {"collections", "OrderedDict", What::kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", What::kTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", What::kTensorV3},
    {"torch._utils", "_rebuild_parameter", What::kParameter},
    {"torch.storage", "UntypedStorage", What::kUntypedStorage},
    {"torch", "UntypedStorage", What::kUntypedStorage},
    {"torch", "DoubleStorage", What::kStorage, Dtype::kF64},
    {"torch", "FloatStorage", What::kStorage, Dtype::kF32},
    {"torch", "HalfStorage", What::kStorage, Dtype::kF16},
    {"torch", "BFloat16Storage", What::kStorage, Dtype::kBF16},
    {"torch", "LongStorage", What::kStorage, Dtype::kI64},
    {"torch", "IntStorage", What::kStorage, Dtype::kI32},
    {"torch", "ShortStorage", What::kStorage, Dtype::kI16},
    {"torch", "CharStorage", What::kStorage, Dtype::kI8},
    {"torch", "ByteStorage", What::kStorage, Dtype::kU8},
    {"torch", "BoolStorage", What::kStorage, Dtype::kBool},
    {"torch", "float64", What::kDtype, Dtype::kF64},
    {"torch", "float32", What::kDtype, Dtype::kF32},
    {"torch", "float16", What::kDtype, Dtype::kF16},
    {"torch", "bfloat16", What::kDtype, Dtype::kBF16},
    {"torch", "int64", What::kDtype, Dtype::kI64},
    {"torch", "int32", What::kDtype, Dtype::kI32},
    {"torch", "int16", What::kDtype, Dtype::kI16},
    {"torch", "int8", What::kDtype, Dtype::kI8},
    {"torch", "uint8", What::kDtype, Dtype::kU8},
    {"torch", "bool", What::kDtype, Dtype::kBool},
};

// Arguments by place; anything missing or of another kind is refused.
class Arguments {
 public:
  Arguments(const PickleTuple& tuple, std::string what, const std::string& file_name)
      : items_(tuple.items), what_(std::move(what)), file_name_(file_name) {}

  void CheckCount(size_t least, size_t most) const {
    if (items_.size() < least || items_.size() > most) Refuse("the wrong number of arguments");
  }

  template <typename T>
  T Get(size_t at, const char* name) const {
    const T* value = at < items_.size() ? std::get_if<T>(&items_[at]) : nullptr;
    if (value == nullptr) Refuse(std::string("a ") + name + " that is none");
    return *value;
  }

  int64_t Count(size_t at, const char* name) const {
    const int64_t value = Get<int64_t>(at, name);
    if (value < 0) Refuse(std::string("a negative ") + name);
    return value;
  }

  std::vector<int64_t> Counts(size_t at, const char* name) const {
    const PickleTuple* tuple = Get<PickleTuple*>(at, name);
    if (tuple->items.size() > kMaxAxes) Refuse("more than 16 axes");
    const Arguments counts(*tuple, what_, file_name_);
    std::vector<int64_t> result;
    for (size_t i = 0; i < tuple->items.size(); ++i) result.push_back(counts.Count(i, name));
    return result;
  }

  // Hooks and flags: torch writes an empty dict where there are none, which is all that data needs.
  void CheckNothing(size_t at, const char* name) const {
    if (at >= items_.size() || std::holds_alternative<std::monostate>(items_[at])) return;
    if (!Get<PickleDict*>(at, name)->items.empty()) Refuse(std::string(name) + " that are not empty");
  }

  [[noreturn]] void Refuse(const std::string& why) const {
    RefuseFile(file_name_, "has in its pickle " + what_ + " with " + why);
  }

 private:
  const std::vector<PickleValue>& items_;
  const std::string what_;
  const std::string& file_name_;
};

// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, flags]); v3 has a dtype before
// the flags, for dtypes that no storage has.
PickledTensor RebuildTensor(const Arguments& arguments, bool has_dtype) {
  arguments.CheckCount(has_dtype ? 7 : 6, has_dtype ? 8 : 7);
  const PickledStorage& storage = *arguments.Get<PickledStorage*>(0, "storage");
  PickledTensor tensor;
  tensor.storage = storage.key;
  tensor.offset = arguments.Count(1, "offset");
  tensor.sizes = arguments.Counts(2, "size");
  tensor.strides = arguments.Counts(3, "stride");
  if (tensor.sizes.size() != tensor.strides.size()) arguments.Refuse("another number of strides than sizes");
  arguments.Get<bool>(4, "requires_grad");
  arguments.CheckNothing(5, "hooks");
  arguments.CheckNothing(has_dtype ? 7 : 6, "flags");
  if (has_dtype) {
    const PickleGlobal* dtype = arguments.Get<const PickleGlobal*>(6, "dtype");
    if (dtype->what != What::kDtype) arguments.Refuse("a dtype that is none");
    if (storage.dtype && *storage.dtype != dtype->dtype) arguments.Refuse("two different dtypes");
    tensor.dtype = dtype->dtype;
  } else {
    tensor.dtype = storage.dtype.value_or(Dtype::kU8);
  }
  tensor.storage_numel = storage.dtype ? storage.count : storage.count / ItemSize(tensor.dtype);
  return tensor;
}

}  // namespace

const PickleGlobal* FindPickleGlobal(std::string_view module, std::string_view name) {
  for (const PickleGlobal& global : kGlobals) {
    if (global.module == module && global.name == name) return &global;
  }
  return nullptr;
}

PickleValue CallPickleGlobal(const PickleGlobal& global, const PickleTuple& tuple, PickleHeap& heap,
                             const std::string& file_name) {
  const Arguments arguments(tuple, "a call of " + std::string(global.name), file_name);
  switch (global.what) {
    case What::kOrderedDict: {
      arguments.CheckCount(0, 0);
      PickleDict& dict = heap.dicts.emplace_back();
      dict.ordered = true;
      return &dict;
    }
    case What::kTensorV2:
      return &heap.tensors.emplace_back(RebuildTensor(arguments, false));
    case What::kTensorV3:
      return &heap.tensors.emplace_back(RebuildTensor(arguments, true));
    case What::kParameter:
      arguments.CheckCount(3, 3);
      arguments.Get<bool>(1, "requires_grad");
      arguments.CheckNothing(2, "hooks");
      return arguments.Get<PickledTensor*>(0, "tensor");
    case What::kStorage:
    case What::kUntypedStorage:
    case What::kDtype:
      break;
  }
  RefuseFile(file_name, "calls " + Printable(global.name) + " in its pickle, which only names a type");
}

PickleValue LoadPickledStorage(const PickleValue& id, PickleHeap& heap, const std::string& file_name) {
  const auto* tuple = std::get_if<PickleTuple*>(&id);
  if (tuple == nullptr) RefuseFile(file_name, "has a persistent id in its pickle that is not a tuple");
  const Arguments arguments(**tuple, "a persistent id", file_name);
  arguments.CheckCount(5, 5);
  if (arguments.Get<std::string_view>(0, "kind") != "storage") arguments.Refuse("a kind that is not storage");
  const PickleGlobal* type = arguments.Get<const PickleGlobal*>(1, "type");
  if (type->what != What::kStorage && type->what != What::kUntypedStorage)
    arguments.Refuse("a type that is not a storage's");
  PickledStorage storage;
  storage.key = arguments.Get<std::string_view>(2, "key");
  arguments.Get<std::string_view>(3, "place");  // "cpu" or the device it was on: of no meaning here
  storage.count = arguments.Count(4, "count");
  if (type->what == What::kStorage) storage.dtype = type->dtype;
  return &heap.storages.emplace_back(storage);
}

}  // namespace svi::engine
