// What writers of both stores have in common: bytes go into a file, in order, and are hashed on the way.
#ifndef SVI_SERVER_ARTIFACTS_FILE_WRITER_H_
#define SVI_SERVER_ARTIFACTS_FILE_WRITER_H_

#include <cstdint>
#include <string>

#include "client/sha256.h"
#include "server/artifacts/artifact_store.h"
#include "server/artifacts/file_io.h"

namespace svi::server {

class FileWriter : public ArtifactWriter {
 public:
  absl::Status Append(uint64_t offset, absl::string_view bytes) final;
  uint64_t size() const final { return size_; }
  absl::StatusOr<std::string> ReadBack(uint64_t offset, uint64_t length) const final;

 protected:
  // `fd`: open for writing and reading.
  FileWriter(std::string key, Fd fd) : key_(std::move(key)), fd_(std::move(fd)) {}

  // Whether the store takes so many bytes in all; OK by default.
  virtual absl::Status CheckSize(uint64_t /*size*/) const { return absl::OkStatus(); }
  // No more bytes after this, and no second time: what was written. FAILED_PRECONDITION as Commit.
  absl::StatusOr<ArtifactRef> Close();

  const std::string& key() const { return key_; }
  Fd& fd() { return fd_; }

 private:
  const std::string key_;
  Fd fd_;
  Sha256 sha_;
  uint64_t size_ = 0;
  bool closed_ = false;
};

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_FILE_WRITER_H_
