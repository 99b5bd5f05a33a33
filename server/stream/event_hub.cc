#include "server/stream/event_hub.h"

#include <algorithm>
#include <utility>

namespace svi::server {

template <typename Progress>
bool SubscriptionOf<Progress>::TakeProgress(Progress* progress) {
  absl::MutexLock lock(&mu_);
  if (progress_.empty()) return false;
  *progress = std::move(progress_.front());
  progress_.pop_front();
  return true;
}

template <typename Progress>
void SubscriptionOf<Progress>::MarkChanged() {
  changed_.store(true);
  wake_();
}

template <typename Progress>
size_t SubscriptionOf<Progress>::AddProgress(const Progress& progress) {
  if (progress_limit_ == 0) return 0;
  size_t dropped = 0;
  {
    absl::MutexLock lock(&mu_);
    while (progress_.size() >= progress_limit_) {
      // What is oldest tells least: a watcher wants to know where it is now.
      progress_.pop_front();
      ++dropped;
    }
    progress_.push_back(progress);
  }
  wake_();
  return dropped;
}

template <typename Progress>
auto EventHubOf<Progress>::Of(const std::string& id) const -> std::vector<std::shared_ptr<Subscription>> {
  absl::ReaderMutexLock lock(&mu_);
  const auto found = subscriptions_.find(id);
  return found == subscriptions_.end() ? std::vector<std::shared_ptr<Subscription>>{} : found->second;
}

template <typename Progress>
void EventHubOf<Progress>::Changed(const std::string& id) {
  Wake(id);
  if (relay_ != nullptr) relay_->Changed(id);
}

template <typename Progress>
void EventHubOf<Progress>::PublishProgress(const std::string& id, const Progress& progress) {
  Offer(id, progress);
  if (relay_ != nullptr) relay_->Progressed(id, progress);
}

template <typename Progress>
void EventHubOf<Progress>::Wake(const std::string& id) {
  for (const auto& subscription : Of(id)) subscription->MarkChanged();
}

template <typename Progress>
void EventHubOf<Progress>::Offer(const std::string& id, const Progress& progress) {
  size_t dropped = 0;
  for (const auto& subscription : Of(id)) dropped += subscription->AddProgress(progress);
  if (dropped > 0 && on_dropped_) on_dropped_(dropped);
}

template <typename Progress>
void EventHubOf<Progress>::WakeAll() {
  std::vector<std::shared_ptr<Subscription>> all;
  {
    absl::ReaderMutexLock lock(&mu_);
    for (const auto& [id, subscriptions] : subscriptions_) {
      all.insert(all.end(), subscriptions.begin(), subscriptions.end());
    }
  }
  for (const auto& subscription : all) subscription->MarkChanged();
}

template <typename Progress>
auto EventHubOf<Progress>::Subscribe(const std::string& id, size_t progress_limit, std::function<void()> wake)
    -> std::shared_ptr<Subscription> {
  auto subscription = std::make_shared<Subscription>(progress_limit, std::move(wake));
  {
    absl::MutexLock lock(&mu_);
    auto& list = subscriptions_[id];
    if (list.empty() && relay_ != nullptr) relay_->Watched(id, true);
    list.push_back(subscription);
  }
  if (on_watchers_) on_watchers_(1);
  return subscription;
}

template <typename Progress>
void EventHubOf<Progress>::Unsubscribe(const std::string& id,
                                       const std::shared_ptr<Subscription>& subscription) {
  {
    absl::MutexLock lock(&mu_);
    const auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    auto& list = found->second;
    const auto place = std::find(list.begin(), list.end(), subscription);
    if (place == list.end()) return;
    list.erase(place);
    if (list.empty()) {
      subscriptions_.erase(found);
      if (relay_ != nullptr) relay_->Watched(id, false);
    }
  }
  if (on_watchers_) on_watchers_(-1);
}

template <typename Progress>
size_t EventHubOf<Progress>::watchers() const {
  absl::ReaderMutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [id, subscriptions] : subscriptions_) count += subscriptions.size();
  return count;
}

template class SubscriptionOf<v1::Progress>;
template class SubscriptionOf<v1::TrainingProgress>;
template class EventHubOf<v1::Progress>;
template class EventHubOf<v1::TrainingProgress>;

}  // namespace svi::server
