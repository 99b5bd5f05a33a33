#include "server/artifacts/artifact_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "server/artifacts/file_io.h"

namespace svi::server {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 20;

}  // namespace

absl::StatusOr<std::string> ArtifactReader::Read(uint64_t length) {
  const uint64_t wanted = std::min(length, ref_.size - position_);
  absl::StatusOr<std::string> bytes = artifacts_->ReadAt(ref_, position_, wanted);
  if (!bytes.ok()) return bytes;
  if (bytes->size() != wanted) return artifacts_->Noting(ref_, WrongArtifactSize());
  if (wanted > 0) sha_.Update(*bytes);
  position_ += wanted;
  if (position_ == ref_.size && !verified_) {
    verified_ = true;
    if (sha_.Finish() != ref_.sha256) {
      return artifacts_->Noting(ref_,
                                absl::DataLossError("an artifact has not the hash that it was stored with"));
    }
  }
  return bytes;
}

absl::StatusOr<std::string> ArtifactReader::ReadAt(uint64_t offset, uint64_t length) {
  if (offset > ref_.size) return BeyondArtifact(offset, ref_);
  if (offset < position_) return absl::InternalError("an artifact is read backwards");
  while (position_ < offset) {
    const absl::StatusOr<std::string> passed = Read(std::min(kChunk, offset - position_));
    if (!passed.ok()) return passed;
  }
  return Read(length);
}

absl::Status VerifyArtifact(ArtifactStore& artifacts, const ArtifactRef& ref) {
  ArtifactReader reader(&artifacts, ref);
  do {
    const absl::StatusOr<std::string> bytes = reader.Next(kChunk);
    if (!bytes.ok()) return bytes.status();
  } while (!reader.at_end());
  return absl::OkStatus();
}

absl::Status FetchArtifact(ArtifactStore& artifacts, const ArtifactRef& ref, const std::string& path) {
  absl::StatusOr<Fd> fd = OpenFd(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd.ok()) return absl::UnavailableError("a temporary file cannot be made");
  ArtifactReader reader(&artifacts, ref);
  absl::Status status;
  do {
    const absl::StatusOr<std::string> bytes = reader.Next(kChunk);
    status = bytes.ok() ? WriteAll(*fd, *bytes) : bytes.status();
  } while (status.ok() && !reader.at_end());
  if (!status.ok()) unlink(path.c_str());
  return status;
}

}  // namespace svi::server
