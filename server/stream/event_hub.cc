#include "server/stream/event_hub.h"

#include <algorithm>
#include <utility>

namespace svi::server {

bool Subscription::TakeProgress(v1::Progress* progress) {
  absl::MutexLock lock(&mu_);
  if (progress_.empty()) return false;
  *progress = std::move(progress_.front());
  progress_.pop_front();
  return true;
}

void Subscription::MarkChanged() {
  changed_.store(true);
  wake_();
}

size_t Subscription::AddProgress(const v1::Progress& progress) {
  if (progress_limit_ == 0) return 0;
  size_t dropped = 0;
  {
    absl::MutexLock lock(&mu_);
    while (progress_.size() >= progress_limit_) {
      // What is oldest tells least: a watcher wants to know where the clip is now.
      progress_.pop_front();
      ++dropped;
    }
    progress_.push_back(progress);
  }
  wake_();
  return dropped;
}

std::vector<std::shared_ptr<Subscription>> EventHub::Of(const std::string& video_id) const {
  absl::ReaderMutexLock lock(&mu_);
  const auto found = subscriptions_.find(video_id);
  return found == subscriptions_.end() ? std::vector<std::shared_ptr<Subscription>>{} : found->second;
}

void EventHub::VideoChanged(const std::string& video_id) {
  for (const auto& subscription : Of(video_id)) subscription->MarkChanged();
}

void EventHub::PublishProgress(const std::string& video_id, const v1::Progress& progress) {
  size_t dropped = 0;
  for (const auto& subscription : Of(video_id)) dropped += subscription->AddProgress(progress);
  if (dropped > 0 && on_dropped_) on_dropped_(dropped);
}

void EventHub::WakeAll() {
  std::vector<std::shared_ptr<Subscription>> all;
  {
    absl::ReaderMutexLock lock(&mu_);
    for (const auto& [id, subscriptions] : subscriptions_) {
      all.insert(all.end(), subscriptions.begin(), subscriptions.end());
    }
  }
  for (const auto& subscription : all) subscription->MarkChanged();
}

std::shared_ptr<Subscription> EventHub::Subscribe(const std::string& video_id, size_t progress_limit,
                                                  std::function<void()> wake) {
  auto subscription = std::make_shared<Subscription>(progress_limit, std::move(wake));
  {
    absl::MutexLock lock(&mu_);
    subscriptions_[video_id].push_back(subscription);
  }
  if (on_watchers_) on_watchers_(1);
  return subscription;
}

void EventHub::Unsubscribe(const std::string& video_id, const std::shared_ptr<Subscription>& subscription) {
  {
    absl::MutexLock lock(&mu_);
    const auto found = subscriptions_.find(video_id);
    if (found == subscriptions_.end()) return;
    auto& list = found->second;
    const auto place = std::find(list.begin(), list.end(), subscription);
    if (place == list.end()) return;
    list.erase(place);
    if (list.empty()) subscriptions_.erase(found);
  }
  if (on_watchers_) on_watchers_(-1);
}

size_t EventHub::watchers() const {
  absl::ReaderMutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [id, subscriptions] : subscriptions_) count += subscriptions.size();
  return count;
}

}  // namespace svi::server
