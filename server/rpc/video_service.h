// VideoService on gRPC's callback API: parses, hands to VideoHandlers on a thread pool, and answers.
#ifndef SVI_SERVER_RPC_VIDEO_SERVICE_H_
#define SVI_SERVER_RPC_VIDEO_SERVICE_H_

#include <atomic>
#include <memory>

#include "server/rpc/executor.h"
#include "server/rpc/video_handlers.h"

namespace grpc {
class Service;
}

namespace svi::server {

struct VideoServiceOptions {
  // Threads for what needs the job store alone.
  int threads = 4;
  // Threads for what reads or deletes artifacts, whose storage may be slow: nothing else waits for it.
  int storage_threads = 16;
  // Threads for what takes a CPU for long or much memory: decoding pictures, joining videos.
  int heavy_threads = 2;
  // Requests that may wait for those; more are refused with RESOURCE_EXHAUSTED.
  size_t heavy_limit = 16;
  // Short requests that may wait; more are refused likewise.
  size_t limit = 10000;
};

// Lives until the gRPC server that it is registered with is shut down.
class VideoService {
 public:
  VideoService(VideoParts parts, VideoServiceOptions options);
  ~VideoService();
  VideoService(const VideoService&) = delete;
  VideoService& operator=(const VideoService&) = delete;

  // Owned by this.
  grpc::Service* service();
  // Ends watches with UNAVAILABLE once they have sent what there is.
  void StopWatches();

 private:
  class Impl;

  VideoHandlers handlers_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Impl> impl_;
  // Last, so that their threads are gone before what they use.
  Executor executor_;
  Executor storage_;
  Executor heavy_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_VIDEO_SERVICE_H_
