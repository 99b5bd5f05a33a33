#include "worker/engine/lora/lora_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "worker/engine/lora/lora_alpha.h"
#include "worker/engine/lora/lora_layout.h"
#include "worker/engine/lora/lora_names.h"
#include "worker/engine/weights/mapped_file.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/scalar_type.h"

namespace svi::engine {
namespace {

std::string VersionOf(const struct stat& info) {
  std::string version;
  for (const int64_t part : {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino),
                             static_cast<int64_t>(info.st_size), static_cast<int64_t>(info.st_mtim.tv_sec),
                             static_cast<int64_t>(info.st_mtim.tv_nsec)}) {
    version += (version.empty() ? "" : "-") + std::to_string(part);
  }
  return version;
}

// A regular file open for reading.
class Input {
 public:
  explicit Input(const std::string& path)
      : name_(BaseName(path)), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) Fail();
    try {
      const struct stat info = Stat();
      if (!S_ISREG(info.st_mode)) RefuseFile(name_, "is not a regular file");
      size_ = static_cast<uint64_t>(info.st_size);
      version_ = VersionOf(info);
    } catch (...) {
      ::close(fd_);
      throw;
    }
  }
  ~Input() { ::close(fd_); }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  const std::string& version() const { return version_; }

  void Read(void* to, uint64_t count, uint64_t from) const {
    char* place = static_cast<char*>(to);
    while (count > 0) {
      const ssize_t got = ::pread(fd_, place, count, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) Fail();
      if (got == 0) RefuseChanged();
      place += got;
      from += static_cast<uint64_t>(got);
      count -= static_cast<uint64_t>(got);
    }
  }

  void CheckUnchanged() const {
    if (VersionOf(Stat()) != version_) RefuseChanged();
  }

 private:
  [[noreturn]] void Fail() const { throw std::system_error(errno, std::generic_category(), name_); }
  [[noreturn]] void RefuseChanged() const { RefuseFile(name_, "is being written to"); }
  struct stat Stat() const {
    struct stat info = {};
    if (::fstat(fd_, &info) != 0) Fail();
    return info;
  }

  const std::string name_;
  const int fd_;
  uint64_t size_ = 0;
  std::string version_;
};

SafetensorsHeader ReadHeader(const Input& file) {
  uint64_t length = 0;
  if (file.size() >= sizeof(length)) file.Read(&length, sizeof(length), 0);
  // The parser refuses what is cut off here.
  const uint64_t wanted = std::min(sizeof(length) + std::min(length, kMaxHeaderBytes), file.size());
  std::string head(wanted, '\0');
  file.Read(head.data(), head.size(), 0);
  return ParseSafetensorsHeader(head, file.size(), file.name());
}

}  // namespace

struct LoraFile::Impl {
  Impl(const std::string& path, const LoraTargets& targets)
      : file(path),
        header(ReadHeader(file)),
        alphas(header.metadata, file.name()),
        modules(LayOutLora(header, targets, file.name())) {}

  at::Tensor Load(const TensorEntry& entry, LoraProblems& problems) const {
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(ScalarTypeOf(entry.dtype)));
    file.Read(tensor.mutable_data_ptr(), entry.end - entry.begin, entry.begin);
    if (!at::isfinite(tensor).all().item<bool>()) problems.Add("tensors that are not finite", entry.name);
    return tensor;
  }

  LoraModule LoadModule(const std::string& name, const LoraParts& parts, LoraProblems& problems) const {
    LoraModule module;
    module.down = Load(*parts.down, problems).flatten(1);
    module.up = Load(*parts.up, problems).flatten(1);
    if (parts.alpha != nullptr) {
      module.scale = Load(*parts.alpha, problems).item().toDouble() / static_cast<double>(module.rank());
    } else {
      const auto original = OriginalLayerName(name);
      module.scale = alphas.Scale({name, original.value_or(name)}, module.rank());
    }
    return module;
  }

  const Input file;
  const SafetensorsHeader header;
  const LoraAlphas alphas;
  const std::map<std::string, LoraParts> modules;  // point into the header
};

LoraTargets TargetsOf(Transformer& transformer) {
  LoraTargets targets;
  for (const auto& [name, linear] : transformer.Linears()) targets[name] = linear->weight().sizes().vec();
  return targets;
}

LoraFile::LoraFile(const std::string& path, const LoraTargets& targets)
    : impl_(std::make_unique<Impl>(path, targets)) {}

LoraFile::~LoraFile() = default;

const std::string& LoraFile::version() const { return impl_->file.version(); }

int64_t LoraFile::rank() const {
  int64_t largest = 0;
  for (const auto& [name, parts] : impl_->modules) largest = std::max(largest, parts.down->shape[0]);
  return largest;
}

int64_t LoraFile::modules() const { return static_cast<int64_t>(impl_->modules.size()); }

LoraWeights LoraFile::Read() const {
  LoraProblems problems;
  LoraWeights weights;
  for (const auto& [name, parts] : impl_->modules) {
    weights.modules[name] = impl_->LoadModule(name, parts, problems);
  }
  impl_->file.CheckUnchanged();
  problems.Throw(impl_->file.name());
  return weights;
}

LoraWeights ReadLora(const std::string& path, const LoraTargets& targets) {
  return LoraFile(path, targets).Read();
}

std::string LoraFileVersion(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    throw std::system_error(errno, std::generic_category(), BaseName(path));
  }
  return VersionOf(info);
}

}  // namespace svi::engine
