#include "server/stream/peer_relay.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace svi::server {
namespace {

// What a line says, after its mark. An id follows, after kWork perhaps none; after kProgress the message,
// too, in Base64.
enum Verb : char { kWatch = 'w', kChanged = 'c', kProgress = 'p', kEnded = 'e', kWork = 'q' };

constexpr size_t kMostEnded = 10'000;
// If it is more, the others are told to look at all.
constexpr size_t kMostWork = 1000;

}  // namespace

template <typename Progress>
void KindRelay<Progress>::Watched(const std::string& id, bool watched) {
  {
    absl::MutexLock lock(&mu_);
    if (watched) {
      here_[id] = absl::InfinitePast();
    } else {
      here_.erase(id);
    }
  }
  if (watched) (*wake_)();
}

template <typename Progress>
void KindRelay<Progress>::Changed(const std::string& id) {
  {
    absl::MutexLock lock(&mu_);
    if (!WatchedElsewhere(id) || !changed_.insert(id).second) return;
  }
  (*wake_)();
}

template <typename Progress>
void KindRelay<Progress>::Progressed(const std::string& id, const Progress& progress) {
  {
    absl::MutexLock lock(&mu_);
    if (!WatchedElsewhere(id)) return;
    const bool waiting = !progress_.empty();
    progress_[id] = progress;
    if (waiting) return;
  }
  (*wake_)();
}

template <typename Progress>
void KindRelay<Progress>::Ended(const std::string& id) {
  {
    absl::MutexLock lock(&mu_);
    if (ended_.size() >= kMostEnded || !ended_.insert(id).second) return;
  }
  (*wake_)();
}

template <typename Progress>
void KindRelay<Progress>::WorkChanged(const std::string& id) {
  {
    absl::MutexLock lock(&mu_);
    if (work_.contains("")) return;
    if (id.empty() || work_.size() >= kMostWork) {
      work_ = {""};
    } else if (!work_.insert(id).second) {
      return;
    }
  }
  (*wake_)();
}

template <typename Progress>
void KindRelay<Progress>::TakeLines(absl::Time now, std::vector<std::string>& lines) {
  absl::MutexLock lock(&mu_);
  const auto add = [&](Verb verb, const std::string& id) {
    lines.push_back(absl::StrCat(std::string{mark_, verb}, " ", id));
  };
  for (auto& [id, due] : here_) {
    if (due > now) continue;
    due = now + kWatchRenewal;
    add(kWatch, id);
  }
  for (auto it = elsewhere_.begin(); it != elsewhere_.end();) {
    it = it->second <= now ? elsewhere_.erase(it) : std::next(it);
  }
  for (const std::string& id : changed_) add(kChanged, id);
  changed_.clear();
  for (const std::string& id : ended_) add(kEnded, id);
  ended_.clear();
  for (const std::string& id : work_) add(kWork, id);
  work_.clear();
  if (now - progress_sent_ < kProgressSpacing || progress_.empty()) return;
  progress_sent_ = now;
  for (const auto& [id, progress] : progress_) {
    add(kProgress, absl::StrCat(id, " ", absl::Base64Escape(progress.SerializeAsString())));
  }
  progress_.clear();
}

template <typename Progress>
absl::Time KindRelay<Progress>::next_due() const {
  absl::MutexLock lock(&mu_);
  if (!changed_.empty() || !ended_.empty() || !work_.empty()) return absl::InfinitePast();
  absl::Time due = absl::InfiniteFuture();
  for (const auto& [id, time] : here_) due = std::min(due, time);
  if (!progress_.empty()) due = std::min(due, progress_sent_ + kProgressSpacing);
  return due;
}

template <typename Progress>
void KindRelay<Progress>::Receive(absl::string_view line, absl::Time now,
                                  const std::function<void(const std::string&)>& ended,
                                  const std::function<void(const std::string&)>& work) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || words[0].size() != 1) return;
  const std::string& id = words[1];
  switch (words[0][0]) {
    case kWatch: {
      bool is_new = false;
      {
        absl::MutexLock lock(&mu_);
        is_new = !WatchedElsewhere(id);
        elsewhere_[id] = now + 3 * kWatchRenewal;
        // What happened before this server knew of the watcher.
        if (is_new) changed_.insert(id);
      }
      if (is_new) (*wake_)();
      return;
    }
    case kChanged:
      hub_->Wake(id);
      return;
    case kEnded:
      if (ended) ended(id);
      hub_->Wake(id);
      return;
    case kWork:
      if (work) work(id);
      return;
    case kProgress: {
      std::string bytes;
      Progress progress;
      if (words.size() == 3 && absl::Base64Unescape(words[2], &bytes) && progress.ParseFromString(bytes)) {
        hub_->Offer(id, progress);
      }
      return;
    }
    default:
      return;
  }
}

template <typename Progress>
std::vector<std::string> KindRelay<Progress>::watched_here() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> ids;
  ids.reserve(here_.size());
  for (const auto& [id, due] : here_) ids.push_back(id);
  return ids;
}

template class KindRelay<v1::Progress>;
template class KindRelay<v1::TrainingProgress>;

PeerRelay::PeerRelay(std::string server_id, EventHub* videos, TrainingHub* runs)
    : server_id_(std::move(server_id)), videos_('v', videos, &wake_), runs_('r', runs, &wake_) {}

std::vector<std::string> PeerRelay::TakeMessages(absl::Time now, size_t limit) {
  std::vector<std::string> lines;
  videos_.TakeLines(now, lines);
  runs_.TakeLines(now, lines);
  std::vector<std::string> messages;
  for (const std::string& line : lines) {
    // Progress with texts of extraordinary length; the next will do.
    if (server_id_.size() + 1 + line.size() > limit) continue;
    if (messages.empty() || messages.back().size() + 1 + line.size() > limit) messages.push_back(server_id_);
    absl::StrAppend(&messages.back(), "\n", line);
  }
  return messages;
}

absl::Time PeerRelay::next_due() const { return std::min(videos_.next_due(), runs_.next_due()); }

void PeerRelay::MessagesLost() {
  if (handlers_.clips_wait) handlers_.clips_wait("");
  if (handlers_.runs_wait) handlers_.runs_wait("");
}

void PeerRelay::Receive(absl::string_view message, absl::Time now) {
  bool first = true;
  for (const absl::string_view line : absl::StrSplit(message, '\n')) {
    if (std::exchange(first, false)) {
      if (line == server_id_) return;
      continue;
    }
    if (line.empty()) continue;
    if (line[0] == 'v') {
      videos_.Receive(line.substr(1), now, handlers_.video_ended, handlers_.clips_wait);
    } else if (line[0] == 'r') {
      runs_.Receive(line.substr(1), now, handlers_.run_ended, handlers_.runs_wait);
    }
  }
}

}  // namespace svi::server
