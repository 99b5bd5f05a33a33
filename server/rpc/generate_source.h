// GenerateVideo: create + watch + the bytes of every clip as it lands, in one stream.
#ifndef SVI_SERVER_RPC_GENERATE_SOURCE_H_
#define SVI_SERVER_RPC_GENERATE_SOURCE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "server/rpc/video_handlers.h"
#include "server/rpc/watch_source.h"

namespace svi::server {

class GenerateSource : public MessageSource {
 public:
  GenerateSource(VideoHandlers* handlers, const std::atomic<bool>* stopping, CallIdentity caller,
                 v1::CreateVideoRequest request)
      : handlers_(handlers), stopping_(stopping), caller_(std::move(caller)), request_(std::move(request)) {}
  void Start(std::function<void()> wake) override { wake_ = std::move(wake); }
  Next Produce(grpc::ByteBuffer* message, absl::Status* status) override;

 private:
  Next ProduceResponse(v1::GenerateVideoResponse* response, absl::Status* status);
  absl::Status Create(v1::Video* video);
  absl::Status ReadClip(v1::ClipData* data);

  // A clip whose bytes are being sent.
  struct Sending {
    uint32_t index = 0;
    Download clip;
    uint64_t offset = 0;
  };

  VideoHandlers* const handlers_;
  const std::atomic<bool>* const stopping_;
  const CallIdentity caller_;
  v1::CreateVideoRequest request_;
  std::function<void()> wake_;
  std::string name_;
  std::unique_ptr<VideoWatch> watch_;  // from the creation on
  std::optional<Sending> sending_;
  bool ended_ = false;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_GENERATE_SOURCE_H_
