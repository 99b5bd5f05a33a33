#include "server/artifacts/file_writer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace svi::server {

absl::Status FileWriter::Append(uint64_t offset, absl::string_view bytes) {
  if (closed_) return absl::FailedPreconditionError("the artifact takes no more bytes");
  if (offset != size_) {
    return absl::OutOfRangeError(absl::StrCat("offset is ", offset, ", must be ", size_));
  }
  absl::Status status = CheckSize(size_ + bytes.size());
  if (status.ok()) status = WriteAll(fd_, bytes);
  if (!status.ok()) {
    closed_ = true;  // some of the bytes may be in the file: it is not what size_ says
    return status;
  }
  sha_.Update(bytes);
  size_ += bytes.size();
  return absl::OkStatus();
}

absl::StatusOr<std::string> FileWriter::ReadBack(uint64_t offset, uint64_t length) const {
  std::string bytes(std::min(length, size_ - std::min(offset, size_)), '\0');
  const absl::StatusOr<size_t> got = ReadFully(fd_, bytes.data(), bytes.size(), offset);
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  return bytes;
}

absl::StatusOr<ArtifactRef> FileWriter::Close() {
  if (closed_) return absl::FailedPreconditionError("the artifact was committed before, or failed");
  closed_ = true;
  return ArtifactRef{key_, size_, sha_.Finish()};
}

}  // namespace svi::server
