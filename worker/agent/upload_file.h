// A file that is sent to the server piece by piece, and never in memory as a whole.
#ifndef SVI_WORKER_AGENT_UPLOAD_FILE_H_
#define SVI_WORKER_AGENT_UPLOAD_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace svi::worker {

// Stays readable when its name is removed. Thread-compatible.
class UploadFile {
 public:
  // Reads it once, for its hash. INTERNAL: it cannot be read; the message is for the log.
  static absl::StatusOr<std::unique_ptr<UploadFile>> Open(const std::string& path);
  ~UploadFile();
  UploadFile(const UploadFile&) = delete;
  UploadFile& operator=(const UploadFile&) = delete;

  [[nodiscard]] uint64_t size() const { return size_; }
  // Of the whole file, 32 bytes.
  [[nodiscard]] const std::string& sha256() const { return sha256_; }
  // The bytes from `offset` on, `limit` of them or what there is. INTERNAL as Open, or if the file has
  // shrunk.
  [[nodiscard]] absl::StatusOr<std::string> Read(uint64_t offset, size_t limit) const;

 private:
  explicit UploadFile(int fd) : fd_(fd) {}

  const int fd_;
  uint64_t size_ = 0;
  std::string sha256_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_UPLOAD_FILE_H_
