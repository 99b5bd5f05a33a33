#include "server/stream/postgres_peers.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/steady.h"
#include "server/queue/sql_reads.h"
#include "server/queue/status_macros.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {
namespace {

// NOTIFY takes less than 8000 bytes.
constexpr size_t kMessageLimit = 7900;
constexpr absl::Duration kListenRetry = absl::Seconds(1);
// What is watched is asked for in parts, so that no statement is large.
constexpr size_t kIdsAtOnce = 1000;

int64_t Micros(absl::Duration duration) { return absl::ToInt64Microseconds(duration); }

}  // namespace

PostgresPeers::PostgresPeers(std::shared_ptr<PostgresPool> pool, PeerRelay* relay, EventHub* videos,
                             TrainingHub* runs, const PostgresPeersOptions& options)
    : pool_(std::move(pool)),
      relay_(relay),
      videos_(videos),
      runs_(runs),
      options_(options),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  relay_->SetWake([this] { Wake(); });
}

PostgresPeers::~PostgresPeers() {
  Stop();
  relay_->SetWake([] {});
  close(wake_fd_);
}

absl::Status PostgresPeers::Start() {
  SVI_RETURN_IF_ERROR(Beat());
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void PostgresPeers::Stop() {
  {
    absl::MutexLock lock(&mu_);
    if (std::exchange(stopping_, true)) return;
  }
  Wake();
  if (!thread_.joinable()) return;
  thread_.join();
  const absl::Status gone = pool_->Write([](SqlDb& db) { return db.Query("server_gone").Run(); });
  if (!gone.ok()) spdlog::warn("peers: not signed off: {}", gone.ToString());
}

bool PostgresPeers::stopping() const {
  absl::MutexLock lock(&mu_);
  return stopping_;
}

void PostgresPeers::Wake() const {
  // It can fail only if it is woken 2^64 times over.
  (void)eventfd_write(wake_fd_, 1);
}

void PostgresPeers::Wait(absl::Time deadline) {
  pollfd entries[] = {{wake_fd_, POLLIN, 0}, {listener_ ? listener_->socket() : -1, POLLIN, 0}};
  const int64_t millis = absl::ToInt64Milliseconds(deadline - SteadyNow()) + 1;
  (void)poll(entries, 2, static_cast<int>(std::clamp<int64_t>(millis, 0, 60'000)));
  eventfd_t count = 0;
  (void)eventfd_read(wake_fd_, &count);
}

void PostgresPeers::Loop() {
  absl::Time beat_at = SteadyNow() + options_.heartbeat_interval;
  absl::Time poll_at = SteadyNow() + options_.poll_interval;
  while (!stopping()) {
    const absl::Time now = SteadyNow();
    Listen(now);
    Receive(now);
    Send(now);
    if (now >= beat_at) {
      beat_at = now + options_.heartbeat_interval;
      if (const absl::Status status = Beat(); !status.ok()) {
        spdlog::warn("peers: the database does not take this server's heartbeat: {}", status.ToString());
      }
    }
    if (now >= poll_at) {
      Poll("last_sequences", relay_->videos().watched_here(), videos_, video_sequences_);
      Poll("last_run_sequences", relay_->runs().watched_here(), runs_, run_sequences_);
      poll_at = SteadyNow() + options_.poll_interval;
    }
    // Some may have come with the answers to what was sent.
    Receive(now);
    Wait(std::min({beat_at, poll_at, std::max(relay_->next_due(), listen_again_)}));
  }
  listener_ = nullptr;
}

void PostgresPeers::Listen(absl::Time now) {
  if (listener_ && listener_->broken()) listener_ = nullptr;
  if (listener_ || now < listen_again_) return;
  listen_again_ = now + kListenRetry;
  auto listener = pool_->Connect();
  if (!listener.ok()) return;  // the heartbeat complains
  std::string channel;
  {
    Statement row = (*listener)->Query("notice_channel");
    if (!row.Step().ok()) return;
    channel = row.Bytes(0);
  }
  // Quoted as an identifier.
  absl::StrReplaceAll({{"\"", "\"\""}}, &channel);
  if (!(*listener)->Exec(absl::StrCat("LISTEN \"", channel, "\"")).ok()) return;
  listener_ = *std::move(listener);
  listen_again_ = absl::InfinitePast();
  videos_->WakeAll();
  runs_->WakeAll();
  relay_->MessagesLost();
}

void PostgresPeers::Receive(absl::Time now) {
  if (!listener_ || listener_->broken()) return;
  const auto notices = listener_->TakeNotices();
  if (!notices.ok()) return;
  for (const PgNotice& notice : *notices) relay_->Receive(notice.payload, now);
}

void PostgresPeers::Send(absl::Time now) {
  // While nobody can hear them, what waits is kept; it is bounded.
  if (!listener_ || listener_->broken()) return;
  for (const std::string& message : relay_->TakeMessages(now, kMessageLimit)) {
    Statement notify = listener_->Query("notify", message);
    if (!notify.Step().ok()) return;
  }
}

absl::Status PostgresPeers::Beat() {
  v1::ListWorkersResponse here;
  for (v1::Worker& worker : options_.workers()) *here.add_workers() = std::move(worker);
  const std::string workers = here.SerializeAsString();
  SVI_RETURN_IF_ERROR(pool_->Write([&](SqlDb& db) -> absl::Status {
    // A beat that comes this late was a break: others may have thought this server gone.
    SVI_RETURN_IF_ERROR(db.Query("server_seen", Micros(options_.gone_after) / 2, Blob{workers}).Run());
    SVI_RETURN_IF_ERROR(db.Query("forget_servers", Micros(options_.gone_after)).Run());
    SVI_ASSIGN_OR_RETURN(const int clips, db.Query("adopt_clips").RunAndCountChanges());
    SVI_ASSIGN_OR_RETURN(const int runs, db.Query("adopt_runs").RunAndCountChanges());
    if (clips + runs > 0) {
      spdlog::warn("peers: {} clips and {} training runs of servers that have gone are this one's now", clips,
                   runs);
    }
    return absl::OkStatus();
  }));
  return ReadWorkers();
}

absl::Status PostgresPeers::ReadWorkers() {
  std::map<std::string, v1::Worker> found;
  SVI_RETURN_IF_ERROR(pool_->Read([&](SqlDb& db) {
    found.clear();
    return ForEachRow(db.Query("workers_elsewhere"), [&](const Statement& row) -> absl::Status {
      v1::ListWorkersResponse there;
      SVI_RETURN_IF_ERROR(ParseStored(row.Bytes(0), there));
      // One that has just moved is with the server that was seen last.
      for (v1::Worker& worker : *there.mutable_workers()) {
        std::string name = worker.name();
        found[std::move(name)] = std::move(worker);
      }
      return absl::OkStatus();
    });
  }));
  absl::MutexLock lock(&mu_);
  workers_elsewhere_ = std::move(found);
  return absl::OkStatus();
}

std::vector<v1::Worker> PostgresPeers::WorkersElsewhere() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::Worker> workers;
  workers.reserve(workers_elsewhere_.size());
  for (const auto& [name, worker] : workers_elsewhere_) workers.push_back(worker);
  return workers;
}

template <typename Progress>
void PostgresPeers::Poll(const char* query, const std::vector<std::string>& ids, EventHubOf<Progress>* hub,
                         Sequences& known) {
  Sequences found;
  for (size_t first = 0; first < ids.size(); first += kIdsAtOnce) {
    const auto begin = ids.begin() + static_cast<ptrdiff_t>(first);
    const auto end = ids.begin() + static_cast<ptrdiff_t>(std::min(ids.size(), first + kIdsAtOnce));
    const std::string joined = absl::StrJoin(begin, end, ",");
    const absl::Status status = pool_->Read([&](SqlDb& db) {
      return ForEachRow(db.Query(query, joined), [&](const Statement& row) {
        found[row.Bytes(0)] = row.Int(1);
        return absl::OkStatus();
      });
    });
    if (!status.ok()) return;  // the next poll will tell
  }
  for (const std::string& id : ids) {
    const auto now = found.find(id);
    const auto before = known.find(id);
    // One that is gone wakes its watchers until they have gone, too.
    if (now == found.end() || before == known.end() || before->second != now->second) hub->Wake(id);
  }
  known = std::move(found);
}

}  // namespace svi::server
