// DownloadClip's, DownloadVideo's and DownloadLora's chunks.
#ifndef SVI_SERVER_RPC_DOWNLOAD_SOURCE_H_
#define SVI_SERVER_RPC_DOWNLOAD_SOURCE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/artifacts/artifact_store.h"
#include "server/metrics/server_metrics.h"
#include "server/rpc/stream_reactor.h"
#include "svi/v1/training_service.pb.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {

inline constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

// Bytes that are read from front to back.
struct Download {
  uint64_t size = 0;
  std::string sha256;
  uint32_t clips = 1;
  // `offset` never lies before the end of what was read last.
  std::function<absl::StatusOr<std::string>(uint64_t offset, uint64_t length)> read;
};

// All of an artifact, whose last bytes are DATA_LOSS if it is not what was stored.
[[nodiscard]] Download DownloadOf(ArtifactStore* artifacts, const ArtifactRef& artifact);

// `Response`: v1::DownloadResponse or v1::DownloadLoraResponse.
template <typename Response>
class DownloadSourceOf : public MessageSource {
 public:
  // `open` runs once, with the first Produce. `kind`: of svi_bytes_served_total.
  DownloadSourceOf(std::function<absl::StatusOr<Download>()> open, uint64_t offset, std::string kind,
                   ServerMetrics* metrics)
      : open_(std::move(open)), offset_(offset), kind_(std::move(kind)), metrics_(metrics) {}
  void Start(std::function<void()>) override {}
  // OUT_OF_RANGE: the offset is beyond the end. DATA_LOSS: the file is not what was
  // stored.
  Next Produce(grpc::ByteBuffer* message, absl::Status* status) override;

 private:
  std::function<absl::StatusOr<Download>()> open_;
  uint64_t offset_;
  const std::string kind_;
  ServerMetrics* const metrics_;
  Download download_;
  bool begun_ = false;
  bool ended_ = false;
};

using DownloadSource = DownloadSourceOf<v1::DownloadResponse>;
using LoraDownloadSource = DownloadSourceOf<v1::DownloadLoraResponse>;

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_DOWNLOAD_SOURCE_H_
