#include "worker/engine/weights/torch_file.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "worker/engine/weights/mapped_file.h"
#include "worker/engine/weights/printable.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/scalar_type.h"
#include "worker/engine/weights/unpickler.h"
#include "worker/engine/weights/zip_archive.h"

namespace svi::engine {
namespace {

constexpr std::string_view kZipBegin = "PK\x03\x04";
// How torch wrote before its zip format: a pickle of a magic number first, or, earlier, a tar archive.
constexpr std::string_view kLegacyBegin = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9";
constexpr size_t kTarMagicAt = 257;

void CheckIsZip(std::string_view bytes, const std::string& file_name) {
  if (bytes.starts_with(kZipBegin)) return;
  const bool tar = bytes.size() > kTarMagicAt && bytes.substr(kTarMagicAt).starts_with("ustar");
  if (tar || bytes.starts_with(kLegacyBegin)) {
    RefuseFile(file_name,
               "is in torch's format of before 1.6; load it and save it again with a newer torch.save");
  }
  RefuseFile(file_name, "is not a file of torch.save: it does not begin like a zip archive");
}

class Builder {
 public:
  explicit Builder(const std::string& path)
      : file_(MappedFile::Open(path)), file_name_(BaseName(path)), copy_budget_(file_->bytes().size()) {}

  TensorFile Build() {
    CheckIsZip(file_->bytes(), file_name_);
    archive_ = ReadZipDirectory(file_->bytes(), file_name_);
    const auto order = Find("byteorder");
    if (order && !order->starts_with("little"))
      RefuseFile(file_name_, "is not little-endian: its byteorder is " + Printable(*order));
    const auto pickle = Find("data.pkl");
    if (!pickle) RefuseFile(file_name_, "is not a file of torch.save: it has no data.pkl");
    TensorFile result;
    for (const auto& [name, tensor] : UnpickleStateDict(*pickle, file_name_))
      result.tensors.emplace(name, Make(name, tensor));
    return result;
  }

 private:
  [[noreturn]] void Refuse(const std::string& name, const std::string& why) const {
    RefuseFile(file_name_, "tensor " + Printable(name) + " " + why);
  }

  std::optional<std::string_view> Find(const std::string& name) const {
    const auto found = archive_.entries.find(std::string(archive_.root) + "/" + name);
    return found == archive_.entries.end() ? std::nullopt : std::optional(found->second);
  }

  // The bytes of a tensor's storage, of which the pickle may know fewer than there are.
  std::string_view Storage(const std::string& name, const PickledTensor& tensor) const {
    if (tensor.storage.size() > 64) Refuse(name, "has a storage with a name that is too long");
    const auto storage = Find("data/" + std::string(tensor.storage));
    if (!storage) Refuse(name, "has its data in " + Printable(tensor.storage) + ", which is not in the file");
    int64_t bytes = 0;
    const int64_t item = ItemSize(tensor.dtype);
    if (__builtin_mul_overflow(tensor.storage_numel, item, &bytes) ||
        static_cast<uint64_t>(bytes) > storage->size()) {
      Refuse(name, "has a storage of fewer bytes than the pickle says");
    }
    return storage->substr(0, bytes);
  }

  // Elements from the first to the last, at least 1; the tensor has some.
  int64_t Span(const std::string& name, const PickledTensor& tensor) const {
    int64_t last = tensor.offset;
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      int64_t step = 0;
      if (__builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i], &step) ||
          __builtin_add_overflow(last, step, &last)) {
        Refuse(name, "lies outside of its storage");
      }
    }
    if (last >= tensor.storage_numel) Refuse(name, "lies outside of its storage");
    return last - tensor.offset + 1;
  }

  // Elements, 0 where a size is; the other sizes have to be possible all the same.
  int64_t Numel(const std::string& name, const PickledTensor& tensor) const {
    int64_t product = ItemSize(tensor.dtype);
    bool empty = false;
    for (const int64_t size : tensor.sizes) {
      empty = empty || size == 0;
      if (__builtin_mul_overflow(product, std::max<int64_t>(size, 1), &product))
        Refuse(name, "has a shape that is too large");
    }
    return empty ? 0 : product / ItemSize(tensor.dtype);
  }

  static bool IsContiguous(const PickledTensor& tensor) {
    int64_t expected = 1;
    for (size_t i = tensor.sizes.size(); i-- > 0;) {
      if (tensor.sizes[i] != 1 && tensor.strides[i] != expected) return false;
      expected *= tensor.sizes[i];  // fits: Numel has checked the product
    }
    return true;
  }

  at::Tensor Make(const std::string& name, const PickledTensor& tensor) {
    const auto options = at::TensorOptions().dtype(ScalarTypeOf(tensor.dtype));
    const std::string_view storage = Storage(name, tensor);
    const int64_t numel = Numel(name, tensor);
    if (numel == 0) return at::empty(tensor.sizes, options);
    const int64_t span = Span(name, tensor);
    const int64_t item = ItemSize(tensor.dtype);
    char* data = file_->data() + (storage.data() - file_->bytes().data()) + tensor.offset * item;
    // torch.save puts storages at multiples of 64, other zip writers anywhere.
    const bool aligned = reinterpret_cast<uintptr_t>(data) % item == 0;
    if (aligned && IsContiguous(tensor))
      return at::from_blob(
          data, tensor.sizes, [file = file_](void*) {}, options);
    Spend(name, static_cast<uint64_t>(aligned ? 0 : span * item) + static_cast<uint64_t>(numel * item));
    const auto nothing = [](void*) {};
    at::Tensor flat = aligned ? at::from_blob(data, {span}, nothing, options) : at::empty({span}, options);
    if (!aligned) std::memcpy(flat.mutable_data_ptr(), data, span * item);
    return flat.as_strided(tensor.sizes, tensor.strides).clone(at::MemoryFormat::Contiguous);
  }

  // Views cost nothing, but a small file can spell many large copies (strides of 0, one storage many times).
  void Spend(const std::string& name, uint64_t bytes) {
    copied_ += bytes;
    if (copied_ > 2 * copy_budget_ + kFreeCopies)
      Refuse(name, "makes the views that have to be copied larger than the file twice");
  }

  static constexpr uint64_t kFreeCopies = 64 << 20;
  const std::shared_ptr<MappedFile> file_;
  const std::string file_name_;
  const uint64_t copy_budget_;
  uint64_t copied_ = 0;
  ZipDirectory archive_;
};

}  // namespace

TensorFile ReadTorchFile(const std::string& path) { return Builder(path).Build(); }

}  // namespace svi::engine
