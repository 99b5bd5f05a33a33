#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "worker/engine/weights/mapped_file.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/safetensors_header.h"
#include "worker/engine/weights/scalar_type.h"

namespace svi::engine {
namespace {

using nlohmann::json;

struct Layout {
  std::string head;                         // the length and the padded JSON
  std::vector<const at::Tensor*> in_order;  // of their data
};

// Widest dtypes first, then by name: with a header padded to 8 bytes everything is aligned.
Layout MakeLayout(const TensorFile& file) {
  std::vector<const std::pair<const std::string, at::Tensor>*> order;
  for (const auto& item : file.tensors) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->second.element_size() > b->second.element_size();
  });

  Layout layout;
  json root = json::object();
  if (!file.metadata.empty()) root["__metadata__"] = file.metadata;
  uint64_t place = 0;
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    if (name == "__metadata__") throw std::invalid_argument("a tensor cannot be called __metadata__");
    const uint64_t end = place + tensor.nbytes();
    root[name] = {{"dtype", DtypeName(DtypeOf(tensor.scalar_type()))},
                  {"shape", tensor.sizes().vec()},
                  {"data_offsets", {place, end}}};
    place = end;
    layout.in_order.push_back(&tensor);
  }
  std::string text;
  try {
    text = root.dump();
  } catch (const json::exception&) {
    throw std::invalid_argument("a tensor's name or its metadata is not valid UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  layout.head.assign(reinterpret_cast<const char*>(&length), sizeof(length));
  layout.head += text;
  return layout;
}

// Calls `sink` with one piece of the file after the other; only one tensor at a time is copied, if it has to
// be.
template <typename Sink>
void Stream(const TensorFile& file, const Sink& sink) {
  const Layout layout = MakeLayout(file);
  sink(layout.head.data(), layout.head.size());
  for (const at::Tensor* tensor : layout.in_order) {
    const at::Tensor plain = tensor->detach().to(at::kCPU).contiguous();
    sink(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
}

[[noreturn]] void FailWriting(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), "cannot write " + BaseName(path));
}

// The file that is written to; removed again unless it was published. Each process has its own: two that
// write the same path disturb each other no more than that the later one stays.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : path_(path),
        temporary_(path + "." + std::to_string(getpid()) + ".tmp"),
        fd_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (fd_ < 0) FailWriting(path_);
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!published_) std::remove(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void Write(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(fd_, data, std::min(size, size_t{1} << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) FailWriting(path_);
      data += written;
      size -= static_cast<size_t>(written);
    }
  }

  void Publish() {
    if (::fsync(fd_) != 0) FailWriting(path_);
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) FailWriting(path_);
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) FailWriting(path_);
    published_ = true;
    SyncFolder();
  }

 private:
  // The rename itself is only durable once the folder is.
  void SyncFolder() const {
    const auto parent = std::filesystem::path(path_).parent_path();
    const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) FailWriting(path_);
    const bool synced = ::fsync(fd) == 0;
    ::close(fd);
    if (!synced) FailWriting(path_);
  }

  std::string path_;
  std::string temporary_;
  int fd_;
  bool published_ = false;
};

}  // namespace

std::string SerializeSafetensors(const TensorFile& file) {
  std::string bytes;
  Stream(file, [&](const char* data, size_t size) { bytes.append(data, size); });
  return bytes;
}

void WriteSafetensors(const std::string& path, const TensorFile& file) {
  TemporaryFile out(path);
  Stream(file, [&](const char* data, size_t size) { out.Write(data, size); });
  out.Publish();
}

}  // namespace svi::engine
