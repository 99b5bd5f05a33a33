#include "worker/engine/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace svi::engine {

std::string BaseName(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::shared_ptr<MappedFile> MappedFile::Open(const std::string& path) {
  const auto fail = [&] { throw std::system_error(errno, std::generic_category(), BaseName(path)); };
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  };
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail();
  struct stat info = {};
  if (::fstat(file.fd, &info) != 0) fail();
  if (!S_ISREG(info.st_mode)) throw std::invalid_argument(BaseName(path) + ": is not a regular file");
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::shared_ptr<MappedFile>(new MappedFile(nullptr, 0));
  // Writable, so that changing a tensor in place (merging a LoRA) is legal; NORESERVE, so that a checkpoint
  // larger than free memory still maps: its pages are the file's until somebody writes to them.
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.fd, 0);
  if (data == MAP_FAILED) fail();
  return std::shared_ptr<MappedFile>(new MappedFile(static_cast<char*>(data), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace svi::engine
