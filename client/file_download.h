// A file that arrives in pieces, is verified, and only then gets its name.
#ifndef SVI_CLIENT_FILE_DOWNLOAD_H_
#define SVI_CLIENT_FILE_DOWNLOAD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/sha256.h"

namespace svi::client {

// Writes to a hidden part file beside `path`; Commit renames it. A part file that an earlier process left
// behind is continued when the hash is known beforehand, since its name carries the hash. Errors: DATA_LOSS
// if the bytes are not what was promised, INTERNAL if the file cannot be written. Thread-compatible.
class FileDownload {
 public:
  // `expected_sha256`: 32 bytes, or empty if it is not known yet. Makes the folder.
  static absl::StatusOr<std::unique_ptr<FileDownload>> Open(const std::string& path,
                                                            const std::string& expected_sha256);
  // Keeps the part file if its hash is known, so that it can be continued; removes it otherwise.
  ~FileDownload();
  FileDownload(const FileDownload&) = delete;
  FileDownload& operator=(const FileDownload&) = delete;

  const std::string& path() const { return path_; }
  // Bytes there so far: where the next piece starts.
  uint64_t size() const { return size_; }
  [[nodiscard]] absl::Status Append(std::string_view data);
  // Forgets all bytes.
  [[nodiscard]] absl::Status Restart();
  // `sha256`: what the server says the file is, 32 bytes. Flushed to disk before it gets its name. After an
  // error only Restart may follow.
  [[nodiscard]] absl::Status Commit(const std::string& sha256);
  // Of the committed file, hexadecimal.
  const std::string& sha256_hex() const { return sha256_hex_; }

 private:
  FileDownload(std::string path, std::string part, std::string expected);
  absl::Status HashExisting();

  const std::string path_, part_path_, expected_sha256_;
  int fd_ = -1;
  uint64_t size_ = 0;
  bool committed_ = false;
  std::string sha256_hex_;
  Sha256 digest_;  // of the bytes so far
};

// Whether the file at `path` has exactly these contents.
bool FileMatches(const std::string& path, uint64_t size, const std::string& sha256);

// Lower-case hexadecimal.
std::string Hex(std::string_view bytes);

}  // namespace svi::client

#endif  // SVI_CLIENT_FILE_DOWNLOAD_H_
