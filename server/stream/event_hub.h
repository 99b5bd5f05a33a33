// Wakes those who watch videos or training runs. Durable events are never in here: a watcher that is woken
// reads them from the store.
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
#include "svi/v1/training_service.pb.h"

namespace svi::server {

template <typename Progress>
class EventHubOf;

// One watcher's place in the hub: a flag "durable events may have come" and a bounded queue of transient
// progress. Thread-safe.
template <typename Progress>
class SubscriptionOf {
 public:
  // `wake` is called, without any lock held, whenever there may be something new. It must be quick and must
  // not block: it runs on the publisher's thread.
  SubscriptionOf(size_t progress_limit, std::function<void()> wake)
      : progress_limit_(progress_limit), wake_(std::move(wake)) {}

  // True if Changed was called since the last time this was asked.
  [[nodiscard]] bool TakeChanged() { return changed_.exchange(false); }
  // The oldest progress that waits, or false.
  [[nodiscard]] bool TakeProgress(Progress* progress);

 private:
  friend class EventHubOf<Progress>;
  void MarkChanged();
  // Returns how many progress messages, the oldest, were dropped to make room.
  size_t AddProgress(const Progress& progress);

  const size_t progress_limit_;
  const std::function<void()> wake_;
  std::atomic<bool> changed_{false};
  absl::Mutex mu_;
  std::deque<Progress> progress_ ABSL_GUARDED_BY(mu_);
};

// Told what happens at a hub, to pass it on to other servers (peer_relay.h). Must not block.
template <typename Progress>
class HubRelay {
 public:
  virtual ~HubRelay() = default;
  // The first watcher of `id` has come, or the last has gone. Called with the hub's lock held, so that
  // comings and goings are told in their order: must not call the hub.
  virtual void Watched(const std::string& id, bool watched) = 0;
  virtual void Changed(const std::string& id) = 0;
  virtual void Progressed(const std::string& id, const Progress& progress) = 0;
};

// Fan-out from whoever changes a video or a run (handlers, the dispatcher) to whoever watches it.
// Thread-safe; no call blocks on a watcher. `id`: of the video or the run.
template <typename Progress>
class EventHubOf {
 public:
  using Subscription = SubscriptionOf<Progress>;

  // `on_dropped(n)` is told how many transient messages slow watchers lost; `on_watchers(±1)` of comings and
  // goings. Either may be empty.
  explicit EventHubOf(std::function<void(size_t)> on_dropped = {}, std::function<void(int)> on_watchers = {})
      : on_dropped_(std::move(on_dropped)), on_watchers_(std::move(on_watchers)) {}

  // Before the hub is used; borrowed. Without it, this server is the only one.
  void SetRelay(HubRelay<Progress>* relay) { relay_ = relay; }

  // Durable events were appended to its log (or it was deleted): wakes its watchers, here and elsewhere.
  void Changed(const std::string& id);
  // Transient: offered to the watchers who want it; a slow one keeps only the newest.
  void PublishProgress(const std::string& id, const Progress& progress);
  // The same for this server's watchers alone: what the relay heard from another.
  void Wake(const std::string& id);
  void Offer(const std::string& id, const Progress& progress);
  // Wakes every watcher, e.g. because the server stops.
  void WakeAll();

  // From now on `wake` is called for `id`. `progress_limit` 0: no progress is wanted. The subscription
  // ends when it is given to Unsubscribe; `wake` may run once more while Unsubscribe is under way, never
  // after it returned on the thread that publishes (so `wake` must hold what it needs, e.g. through a
  // weak_ptr).
  std::shared_ptr<Subscription> Subscribe(const std::string& id, size_t progress_limit,
                                          std::function<void()> wake);
  void Unsubscribe(const std::string& id, const std::shared_ptr<Subscription>& subscription);

  [[nodiscard]] size_t watchers() const;

 private:
  std::vector<std::shared_ptr<Subscription>> Of(const std::string& id) const;

  const std::function<void(size_t)> on_dropped_;
  const std::function<void(int)> on_watchers_;
  HubRelay<Progress>* relay_ = nullptr;
  mutable absl::Mutex mu_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Subscription>>> subscriptions_
      ABSL_GUARDED_BY(mu_);
};

using EventHub = EventHubOf<v1::Progress>;             // of videos
using TrainingHub = EventHubOf<v1::TrainingProgress>;  // of training runs

}  // namespace svi::server

#endif  // SVI_SERVER_STREAM_EVENT_HUB_H_
