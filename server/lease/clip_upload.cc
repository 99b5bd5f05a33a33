#include "server/lease/clip_upload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/lease/worker_messages.h"
#include "worker/media/clip_check.h"

namespace svi::server {

absl::Status ArtifactUpload::Append(uint64_t offset, const std::string& data) {
  if (offset == 0) {
    writer_.reset();
    received_ = 0;
  }
  if (offset != received_) {
    return absl::DataLossError(
        absl::StrCat("the upload continued at byte ", offset, ", but ", received_, " bytes were there"));
  }
  if (data.size() > max_bytes_ - received_) {
    return absl::DataLossError(absl::StrCat("the upload is larger than ", max_bytes_, " bytes"));
  }
  if (writer_ == nullptr) {
    auto writer = artifacts_->OpenWriter(key_);
    if (!writer.ok()) return writer.status();
    writer_ = *std::move(writer);
  }
  const absl::Status appended = writer_->Append(offset, data);
  if (appended.ok()) received_ += data.size();
  return appended;
}

absl::StatusOr<ArtifactRef> ArtifactUpload::Commit(uint64_t size, const std::string& sha256) {
  if (size != received_ || writer_ == nullptr) {
    return absl::DataLossError(
        absl::StrCat("the upload has ", received_, " bytes, but ", size, " were announced"));
  }
  auto committed = writer_->Commit();
  writer_.reset();
  received_ = 0;
  if (!committed.ok()) return committed;
  if (committed->sha256 != sha256) {
    const absl::Status deleted = artifacts_->Delete(*committed);
    return absl::DataLossError(absl::StrCat("the upload does not have the SHA-256 that was announced",
                                            deleted.ok() ? "" : " (and could not be deleted)"));
  }
  return committed;
}

absl::Status ArtifactUpload::CheckClip(const v1::Clip& clip) const {
  media::ClipFacts facts;
  facts.width = static_cast<int>(clip.width());
  facts.height = static_cast<int>(clip.height());
  facts.fps = static_cast<int>(clip.fps());
  facts.frames = clip.frame_count();
  const auto read = [this](uint64_t offset, uint64_t length) -> absl::StatusOr<std::string> {
    if (writer_ == nullptr) return std::string();
    return writer_->ReadBack(offset, length);
  };
  return media::CheckClip(read, received_, facts);
}

absl::StatusOr<v1::ArtifactChunk> InputFeed::Next() {
  Input& input = inputs_.front();
  v1::ArtifactChunk chunk;
  chunk.set_kind(input.kind);
  chunk.set_offset(input.reader.position());
  auto data = input.reader.Next(kMaxChunkBytes);
  if (!data.ok()) return data.status();
  chunk.set_data(*std::move(data));
  if (input.reader.at_end()) inputs_.pop_front();
  return chunk;
}

}  // namespace svi::server
