// A whole file in memory, mapped rather than read.
#ifndef SVI_ENGINE_WEIGHTS_MAPPED_FILE_H_
#define SVI_ENGINE_WEIGHTS_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace svi::engine {

class MappedFile {
 public:
  // Throws std::system_error (with errno's code, e.g. no_such_file_or_directory) or std::invalid_argument
  // when it is not a regular file; both name the file without its path.
  static std::shared_ptr<MappedFile> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {data_, size_}; }
  // Copy-on-write: what is written stays in this process and never reaches the file.
  char* data() { return data_; }

 private:
  MappedFile(char* data, size_t size) : data_(data), size_(size) {}
  char* data_;
  size_t size_;
};

// The last component of a path, for messages.
std::string BaseName(const std::string& path);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_MAPPED_FILE_H_
