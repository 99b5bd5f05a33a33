#include "worker/engine/weights/safetensors.h"

#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "worker/engine/weights/mapped_file.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/scalar_type.h"

namespace svi::engine {
namespace {

at::Tensor Copy(const TensorEntry& entry, const char* file) {
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(ScalarTypeOf(entry.dtype)));
  if (tensor.numel() > 0) std::memcpy(tensor.mutable_data_ptr(), file + entry.begin, entry.end - entry.begin);
  return tensor;
}

at::Tensor View(const TensorEntry& entry, const std::shared_ptr<MappedFile>& file) {
  char* data = file->data() + entry.begin;
  // Only the reference writer pads its header to a multiple of 8; a kernel may fault on an odd address.
  const bool aligned = reinterpret_cast<uintptr_t>(data) % ItemSize(entry.dtype) == 0;
  if (!aligned || entry.begin == entry.end) return Copy(entry, file->data());
  return at::from_blob(
      data, entry.shape, [file](void*) {}, at::TensorOptions().dtype(ScalarTypeOf(entry.dtype)));
}

TensorFile Build(SafetensorsHeader header, const std::function<at::Tensor(const TensorEntry&)>& make) {
  TensorFile result;
  result.metadata = std::move(header.metadata);
  for (const TensorEntry& entry : header.entries) result.tensors.emplace(entry.name, make(entry));
  return result;
}

}  // namespace

TensorFile ReadSafetensors(const std::string& path) {
  const auto file = MappedFile::Open(path);
  return Build(ParseSafetensorsHeader(file->bytes(), BaseName(path)),
               [&](const TensorEntry& entry) { return View(entry, file); });
}

TensorFile ParseSafetensors(std::string_view bytes, const std::string& name) {
  return Build(ParseSafetensorsHeader(bytes, name),
               [&](const TensorEntry& entry) { return Copy(entry, bytes.data()); });
}

}  // namespace svi::engine
