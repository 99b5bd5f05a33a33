// WatchVideo's events: the durable ones from the store after a sequence number, then as they come, with
// transient progress in between.
#ifndef SVI_SERVER_RPC_WATCH_SOURCE_H_
#define SVI_SERVER_RPC_WATCH_SOURCE_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "server/queue/job_store.h"
#include "server/rpc/stream_reactor.h"
#include "server/stream/event_hub.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {

struct WatchOptions {
  std::string video_id;
  uint64_t after_sequence = 0;
  bool durable_only = false;
  // Progress messages that wait for a slow watcher; more are dropped, oldest first.
  size_t progress_limit = 8;
  // Durable events read from the store at once.
  int batch = 64;
};

// The events themselves; WatchSource and GenerateSource make messages of them. Not thread-safe but for
// `wake`.
class VideoWatch {
 public:
  // `stopping` turns true when the server goes down (then wake everybody through the hub).
  VideoWatch(JobStore* store, EventHub* hub, const std::atomic<bool>* stopping, WatchOptions options)
      : store_(store),
        hub_(hub),
        stopping_(stopping),
        options_(std::move(options)),
        last_(options_.after_sequence) {}
  ~VideoWatch();
  VideoWatch(const VideoWatch&) = delete;
  VideoWatch& operator=(const VideoWatch&) = delete;

  void Subscribe(std::function<void()> wake);
  // As MessageSource::Produce. kDone with OK: the video has ended and all its durable events were returned.
  // NOT_FOUND: no such video, or deleted meanwhile (reason VIDEO_DELETED). OUT_OF_RANGE: after_sequence is
  // beyond the newest event. UNAVAILABLE: the server stops.
  MessageSource::Next Produce(v1::VideoEvent* event, absl::Status* status);

 private:
  absl::Status Begin();  // checks the video and after_sequence
  absl::Status Read();   // the next batch into events_

  JobStore* const store_;
  EventHub* const hub_;
  const std::atomic<bool>* const stopping_;
  const WatchOptions options_;
  std::shared_ptr<Subscription> subscription_;
  std::deque<v1::VideoEvent> events_;
  uint64_t last_;  // sequence number of the newest event returned or in events_
  bool begun_ = false;
  bool more_ = true;    // the store may have events after last_
  bool final_ = false;  // the last durable event was seen
};

class WatchSource : public MessageSource {
 public:
  WatchSource(JobStore* store, EventHub* hub, const std::atomic<bool>* stopping, WatchOptions options)
      : watch_(store, hub, stopping, std::move(options)) {}
  void Start(std::function<void()> wake) override { watch_.Subscribe(std::move(wake)); }
  Next Produce(grpc::ByteBuffer* message, absl::Status* status) override;

 private:
  VideoWatch watch_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_WATCH_SOURCE_H_
