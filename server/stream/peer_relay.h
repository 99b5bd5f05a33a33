// What servers that share one store tell each other: which videos and training runs are watched where, that
// their logs have grown, their progress, and that there is work. No more than hints: who misses one finds out
// by asking the store, a little later.
#ifndef SVI_SERVER_STREAM_PEER_RELAY_H_
#define SVI_SERVER_STREAM_PEER_RELAY_H_

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/stream/event_hub.h"

namespace svi::server {

// A watched id is announced again this often, and forgotten by the others after three times as long.
inline constexpr absl::Duration kWatchRenewal = absl::Seconds(10);
// Progress of one video crosses servers no more often than this, the newest only.
inline constexpr absl::Duration kProgressSpacing = absl::Milliseconds(250);

// The part of one kind, videos or training runs. Thread-safe.
template <typename Progress>
class KindRelay final : public HubRelay<Progress> {
 public:
  // `mark` stands before each of its lines: 'v' or 'r'. `wake` is called, quickly and from any thread, when
  // there is something to send that should not wait. Both are borrowed.
  KindRelay(char mark, EventHubOf<Progress>* hub, const std::function<void()>* wake)
      : mark_(mark), hub_(hub), wake_(wake) {}

  // HubRelay: what happens on this server.
  void Watched(const std::string& id, bool watched) override ABSL_LOCKS_EXCLUDED(mu_);
  void Changed(const std::string& id) override ABSL_LOCKS_EXCLUDED(mu_);
  void Progressed(const std::string& id, const Progress& progress) override ABSL_LOCKS_EXCLUDED(mu_);
  // It was cancelled or deleted: whoever has a worker at it stops that.
  void Ended(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  // There may be work at it; empty: anywhere.
  void WorkChanged(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);

  // Lines for the other servers; what is in them is not in here any more.
  void TakeLines(absl::Time now, std::vector<std::string>& lines) ABSL_LOCKS_EXCLUDED(mu_);
  // When TakeLines has something, if nothing else happens.
  [[nodiscard]] absl::Time next_due() const ABSL_LOCKS_EXCLUDED(mu_);
  // One line of another server, without the mark; what is not understood is ignored.
  void Receive(absl::string_view line, absl::Time now, const std::function<void(const std::string&)>& ended,
               const std::function<void(const std::string&)>& work) ABSL_LOCKS_EXCLUDED(mu_);

  // What is watched on this server.
  [[nodiscard]] std::vector<std::string> watched_here() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  [[nodiscard]] bool WatchedElsewhere(const std::string& id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return elsewhere_.count(id) > 0;
  }

  const char mark_;
  EventHubOf<Progress>* const hub_;
  const std::function<void()>* const wake_;

  mutable absl::Mutex mu_;
  std::map<std::string, absl::Time> here_ ABSL_GUARDED_BY(mu_);       // to when it is announced again
  std::map<std::string, absl::Time> elsewhere_ ABSL_GUARDED_BY(mu_);  // to when that is forgotten
  // To be sent; bounded by what is watched elsewhere, by kMostEnded and by kMostWork.
  std::set<std::string> changed_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Progress> progress_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> ended_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> work_ ABSL_GUARDED_BY(mu_);  // the empty one alone: anywhere
  absl::Time progress_sent_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

// Both kinds. Thread-safe.
class PeerRelay {
 public:
  struct Handlers {
    std::function<void(const std::string&)> video_ended;
    std::function<void(const std::string&)> run_ended;
    // With the id of what may be had; empty: it may be anything.
    std::function<void(const std::string&)> clips_wait;
    std::function<void(const std::string&)> runs_wait;
  };

  // `server_id`: this one's, without line breaks; what comes from itself is ignored.
  PeerRelay(std::string server_id, EventHub* videos, TrainingHub* runs);
  PeerRelay(const PeerRelay&) = delete;
  PeerRelay& operator=(const PeerRelay&) = delete;

  // Before the first message; not thread-safe.
  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }
  void SetWake(std::function<void()> wake) { wake_ = std::move(wake); }

  [[nodiscard]] KindRelay<v1::Progress>& videos() { return videos_; }
  [[nodiscard]] KindRelay<v1::TrainingProgress>& runs() { return runs_; }

  // Messages for all other servers, each at most `limit` bytes of ASCII.
  [[nodiscard]] std::vector<std::string> TakeMessages(absl::Time now, size_t limit);
  [[nodiscard]] absl::Time next_due() const;
  void Receive(absl::string_view message, absl::Time now);
  // Messages of others may not have come: whatever they were about is looked for.
  void MessagesLost();

 private:
  const std::string server_id_;
  Handlers handlers_;
  std::function<void()> wake_ = [] {};
  KindRelay<v1::Progress> videos_;
  KindRelay<v1::TrainingProgress> runs_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_STREAM_PEER_RELAY_H_
