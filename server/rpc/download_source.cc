#include "server/rpc/download_source.h"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "server/artifacts/artifact_reader.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"

namespace svi::server {

Download DownloadOf(ArtifactStore* artifacts, const ArtifactRef& artifact) {
  Download download;
  download.size = artifact.size;
  download.sha256 = artifact.sha256;
  auto reader = std::make_shared<ArtifactReader>(artifacts, artifact);
  download.read = [reader](uint64_t offset, uint64_t length) { return reader->ReadAt(offset, length); };
  return download;
}

template <typename Response>
MessageSource::Next DownloadSourceOf<Response>::Produce(grpc::ByteBuffer* message, absl::Status* status) {
  if (ended_) return Next::kDone;
  Response response;
  if (!begun_) {
    auto opened = open_();
    if (!opened.ok()) {
      *status = opened.status();
      return Next::kDone;
    }
    download_ = *std::move(opened);
    if (offset_ > download_.size) {
      *status =
          MakeError(absl::StatusCode::kOutOfRange, "OFFSET_OUT_OF_RANGE",
                    absl::StrCat("offset must be 0..", download_.size, ", the file's size; is ", offset_));
      return Next::kDone;
    }
    response.set_total_bytes(download_.size);
    if constexpr (std::is_same_v<Response, v1::DownloadResponse>) response.set_clips(download_.clips);
    begun_ = true;
  }
  const uint64_t wanted = std::min(kChunkBytes, download_.size - offset_);
  auto bytes = download_.read(offset_, wanted);
  if (bytes.ok() && bytes->size() != wanted)
    bytes = absl::DataLossError("an artifact is shorter than it should be");
  if (!bytes.ok()) {
    *status = bytes.status();
    return Next::kDone;
  }
  response.set_offset(offset_);
  response.set_data(*std::move(bytes));
  offset_ += wanted;
  if (offset_ == download_.size) {
    response.set_sha256(download_.sha256);
    ended_ = true;
  }
  metrics_->BytesServed(kind_, wanted);
  *message = SerializeResponse(response);
  return Next::kMessage;
}

template class DownloadSourceOf<v1::DownloadResponse>;
template class DownloadSourceOf<v1::DownloadLoraResponse>;

}  // namespace svi::server
