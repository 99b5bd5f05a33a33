// WatchVideo's and WatchTrainingRun's events: the durable ones from the store after a sequence number, then
// as they come, with transient progress in between.
#ifndef SVI_SERVER_RPC_WATCH_SOURCE_H_
#define SVI_SERVER_RPC_WATCH_SOURCE_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/queue/job_store.h"
#include "server/queue/training_store.h"
#include "server/rpc/names.h"
#include "server/rpc/stream_reactor.h"
#include "server/stream/event_hub.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {

struct WatchOptions {
  std::string id;  // of the video or the run
  // Whose it must be; another's is not found.
  std::string tenant = kDefaultTenant;
  uint64_t after_sequence = 0;
  bool durable_only = false;
  // Progress messages that wait for a slow watcher; more are dropped, oldest first.
  size_t progress_limit = 8;
  // Durable events read from the store at once, and how many bytes of them are kept for a watcher that does
  // not take them; the rest is read again. One event, with a prompt of 16 KiB in it, may be more.
  int batch = 64;
  size_t batch_bytes = 16 << 10;
};

// What is watched: where its events come from, and what it is called.
struct VideoEvents {
  using Event = v1::VideoEvent;
  using Progress = v1::Progress;
  using Store = JobStore;
  static constexpr char kDeleted[] = "VIDEO_DELETED";
  static constexpr char kKind[] = "video";
  static std::string Name(const std::string& id) { return VideoName(id); }
  static absl::StatusOr<v1::Video> Get(Store& store, const std::string& id) { return store.GetVideo(id); }
  static absl::StatusOr<std::vector<Event>> List(Store& store, const std::string& id, uint64_t after,
                                                 int limit) {
    return store.ListEvents(id, after, limit);
  }
};
struct TrainingEvents {
  using Event = v1::TrainingEvent;
  using Progress = v1::TrainingProgress;
  using Store = TrainingStore;
  static constexpr char kDeleted[] = "RUN_DELETED";
  static constexpr char kKind[] = "training run";
  static std::string Name(const std::string& id) { return TrainingRunName(id); }
  static absl::StatusOr<v1::TrainingRun> Get(Store& store, const std::string& id) { return store.GetRun(id); }
  static absl::StatusOr<std::vector<Event>> List(Store& store, const std::string& id, uint64_t after,
                                                 int limit) {
    return store.ListRunEvents(id, after, limit);
  }
};

// The events themselves; WatchSourceOf and GenerateSource make messages of them. Not thread-safe but for
// `wake`. `Kind`: VideoEvents or TrainingEvents.
template <typename Kind>
class WatchOf {
 public:
  using Store = typename Kind::Store;
  using Hub = EventHubOf<typename Kind::Progress>;
  using Event = typename Kind::Event;

  // `stopping` turns true when the server goes down (then wake everybody through the hub).
  WatchOf(Store* store, Hub* hub, const std::atomic<bool>* stopping, WatchOptions options)
      : store_(store),
        hub_(hub),
        stopping_(stopping),
        options_(std::move(options)),
        batch_(options_.batch),
        last_(options_.after_sequence) {}
  ~WatchOf();
  WatchOf(const WatchOf&) = delete;
  WatchOf& operator=(const WatchOf&) = delete;

  void Subscribe(std::function<void()> wake);
  // As MessageSource::Produce. kDone with OK: it has ended and all its durable events were returned.
  // NOT_FOUND: there is none, or it was deleted meanwhile (reason Kind::kDeleted). OUT_OF_RANGE:
  // after_sequence is beyond the newest event. UNAVAILABLE: the server stops.
  MessageSource::Next Produce(Event* event, absl::Status* status);

 private:
  absl::Status Begin();  // checks that it is there, and after_sequence
  absl::Status Read();   // the next batch into events_

  Store* const store_;
  Hub* const hub_;
  const std::atomic<bool>* const stopping_;
  const WatchOptions options_;
  std::shared_ptr<typename Hub::Subscription> subscription_;
  std::deque<Event> events_;
  int batch_;      // how many to read next
  uint64_t last_;  // sequence number of the newest event returned or in events_
  bool begun_ = false;
  bool more_ = true;    // the store may have events after last_
  bool final_ = false;  // the last durable event was seen
};

template <typename Kind>
class WatchSourceOf : public MessageSource {
 public:
  using Watch = WatchOf<Kind>;

  WatchSourceOf(typename Watch::Store* store, typename Watch::Hub* hub, const std::atomic<bool>* stopping,
                WatchOptions options)
      : watch_(store, hub, stopping, std::move(options)) {}
  void Start(std::function<void()> wake) override { watch_.Subscribe(std::move(wake)); }
  Next Produce(grpc::ByteBuffer* message, absl::Status* status) override;

 private:
  Watch watch_;
};

using VideoWatch = WatchOf<VideoEvents>;
using WatchSource = WatchSourceOf<VideoEvents>;
using TrainingWatchSource = WatchSourceOf<TrainingEvents>;

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_WATCH_SOURCE_H_
