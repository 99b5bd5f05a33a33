// Wakes those who watch videos. Durable events are never in here: a watcher that is woken reads them from the
// JobStore.
#ifndef SVI_SERVER_STREAM_EVENT_HUB_H_
#define SVI_SERVER_STREAM_EVENT_HUB_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

// One watcher's place in the hub: a flag "durable events may have come" and a bounded queue of transient
// progress. Thread-safe.
class Subscription {
 public:
  // `wake` is called, without any lock held, whenever there may be something new. It must be quick and must
  // not block: it runs on the publisher's thread.
  Subscription(size_t progress_limit, std::function<void()> wake)
      : progress_limit_(progress_limit), wake_(std::move(wake)) {}

  // True if VideoChanged was called since the last time this was asked.
  [[nodiscard]] bool TakeChanged() { return changed_.exchange(false); }
  // The oldest progress that waits, or false.
  [[nodiscard]] bool TakeProgress(v1::Progress* progress);

 private:
  friend class EventHub;
  void MarkChanged();
  // Returns how many progress messages were dropped to make room: the newest of the same clip and stage
  // replaces the one before it if the queue is full.
  size_t AddProgress(const v1::Progress& progress);

  const size_t progress_limit_;
  const std::function<void()> wake_;
  std::atomic<bool> changed_{false};
  absl::Mutex mu_;
  std::deque<v1::Progress> progress_ ABSL_GUARDED_BY(mu_);
};

// Fan-out from whoever changes a video (handlers, the dispatcher) to whoever watches it. Thread-safe; no call
// blocks on a watcher.
class EventHub {
 public:
  // `on_dropped(n)` is told how many transient messages slow watchers lost; `on_watchers(±1)` of comings and
  // goings. Either may be empty.
  explicit EventHub(std::function<void(size_t)> on_dropped = {}, std::function<void(int)> on_watchers = {})
      : on_dropped_(std::move(on_dropped)), on_watchers_(std::move(on_watchers)) {}

  // Durable events were appended to this video's log (or the video was deleted): wakes its watchers.
  void VideoChanged(const std::string& video_id);
  // Transient: offered to the watchers who want it; a slow one keeps only the newest.
  void PublishProgress(const std::string& video_id, const v1::Progress& progress);
  // Wakes every watcher of every video, e.g. because the server stops.
  void WakeAll();

  // From now on `wake` is called for the video. `progress_limit` 0: no progress is wanted. The subscription
  // ends when it is given to Unsubscribe; `wake` may run once more while Unsubscribe is under way, never
  // after it returned on the thread that publishes (so `wake` must hold what it needs, e.g. through a
  // weak_ptr).
  std::shared_ptr<Subscription> Subscribe(const std::string& video_id, size_t progress_limit,
                                          std::function<void()> wake);
  void Unsubscribe(const std::string& video_id, const std::shared_ptr<Subscription>& subscription);

  [[nodiscard]] size_t watchers() const;

 private:
  std::vector<std::shared_ptr<Subscription>> Of(const std::string& video_id) const;

  const std::function<void(size_t)> on_dropped_;
  const std::function<void(int)> on_watchers_;
  mutable absl::Mutex mu_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Subscription>>> subscriptions_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_STREAM_EVENT_HUB_H_
