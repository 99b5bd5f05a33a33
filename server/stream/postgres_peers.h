// A server's place among those that share a PostgreSQL database: it says that it is there, takes over the
// leases of those that have gone, and carries the messages of a PeerRelay by LISTEN and NOTIFY.
#ifndef SVI_SERVER_STREAM_POSTGRES_PEERS_H_
#define SVI_SERVER_STREAM_POSTGRES_PEERS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/queue/postgres_pool.h"
#include "server/stream/event_hub.h"
#include "server/stream/peer_relay.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

struct PostgresPeersOptions {
  // How often this server says that it is there, and looks for those that are not.
  absl::Duration heartbeat_interval = absl::Seconds(2);
  // A server that was not seen for this long is gone. Judged by the database's clock, and only by a server
  // that was seen itself all that time: after the database was away, nobody is gone.
  absl::Duration gone_after = absl::Seconds(10);
  // How often the store is asked for what is watched here, since a notice may have been lost.
  absl::Duration poll_interval = absl::Seconds(1);
  // Who is connected to this server now. Called with every heartbeat.
  std::function<std::vector<v1::Worker>()> workers = [] { return std::vector<v1::Worker>(); };
};

// Thread-safe. One thread, which waits for notices and for time to pass. NOTIFY is never part of a
// transaction that changes something: PostgreSQL lets those commit one after the other only. The price is
// that a notice may be lost with its sender, or with a connection; then the poll finds what it was about.
class PostgresPeers {
 public:
  // All borrowed, and must outlive it; `relay` is the hubs' relay.
  PostgresPeers(std::shared_ptr<PostgresPool> pool, PeerRelay* relay, EventHub* videos, TrainingHub* runs,
                const PostgresPeersOptions& options);
  ~PostgresPeers();  // Stop
  PostgresPeers(const PostgresPeers&) = delete;
  PostgresPeers& operator=(const PostgresPeers&) = delete;

  // Registers this server, takes over what is known to be nobody's, and starts the thread.
  [[nodiscard]] absl::Status Start();
  // Who was connected to the other servers at their last heartbeats, by name.
  [[nodiscard]] std::vector<v1::Worker> WorkersElsewhere() const ABSL_LOCKS_EXCLUDED(mu_);
  // Says that this server is gone, so that the others take over its leases at once.
  void Stop();

 private:
  // Where the logs of what is watched here ended when the store was asked last.
  using Sequences = std::map<std::string, int64_t>;

  void Loop();
  // Until a notice, a message to be sent, or `deadline`.
  void Wait(absl::Time deadline);
  void Wake() const;
  [[nodiscard]] bool stopping() const;

  // Connects and listens, unless it does already. Whoever watches looks once, and the queue is read, since
  // notices may have been lost.
  void Listen(absl::Time now);
  void Receive(absl::Time now);
  void Send(absl::Time now);
  [[nodiscard]] absl::Status Beat();
  [[nodiscard]] absl::Status ReadWorkers();
  // Wakes those who watch what has grown or gone.
  template <typename Progress>
  void Poll(const char* query, const std::vector<std::string>& ids, EventHubOf<Progress>* hub,
            Sequences& known);

  const std::shared_ptr<PostgresPool> pool_;
  PeerRelay* const relay_;
  EventHub* const videos_;
  TrainingHub* const runs_;
  const PostgresPeersOptions options_;
  const int wake_fd_;

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, v1::Worker> workers_elsewhere_ ABSL_GUARDED_BY(mu_);

  // The thread's own.
  std::unique_ptr<PostgresDb> listener_;
  absl::Time listen_again_ = absl::InfinitePast();
  Sequences video_sequences_;
  Sequences run_sequences_;

  std::thread thread_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_STREAM_POSTGRES_PEERS_H_
