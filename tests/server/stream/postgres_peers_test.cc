// Servers side by side on a real PostgreSQL.
#include "server/stream/postgres_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "absl/time/clock.h"
#include "server/queue/postgres_stores.h"
#include "tests/conformance/postgres_server.h"

namespace svi::server {
namespace {

using testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(30);

// A server without its RPCs.
class Peer {
 public:
  Peer(const std::string& url, const std::string& id, const PostgresPeersOptions& options)
      : relay(id, &videos, &runs) {
    PostgresOptions postgres;
    postgres.url = url;
    postgres.server_id = id;
    auto opened = OpenPostgres(postgres);
    EXPECT_TRUE(opened.ok()) << opened.status();
    pool = *opened;
    stores = MakePostgresStores(pool);
    videos.SetRelay(&relay.videos());
    runs.SetRelay(&relay.runs());
    relay.SetHandlers({{}, {}, [this](const std::string& id) { ++(id.empty() ? looks : works); }, {}});
    peers = std::make_unique<PostgresPeers>(pool, &relay, &videos, &runs, options);
    const absl::Status started = peers->Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  std::shared_ptr<EventHub::Subscription> Watch(const std::string& id) {
    return videos.Subscribe(id, 8, [] {});
  }

  std::atomic<int> works = 0;  // it was told where there is work
  std::atomic<int> looks = 0;  // or to look for it
  EventHub videos;
  TrainingHub runs;
  PeerRelay relay;
  std::shared_ptr<PostgresPool> pool;
  Stores stores;
  std::unique_ptr<PostgresPeers> peers;
};

// Asks again and again.
bool Until(const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!done()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

v1::Progress Step(uint32_t step) {
  v1::Progress progress;
  progress.set_step(step);
  return progress;
}

class PostgresPeersTest : public testing::Test {
 protected:
  std::unique_ptr<Peer> Start(const std::string& id) { return std::make_unique<Peer>(url_, id, options_); }
  static void Create(Peer& peer, const std::string& id) {
    NewVideo video;
    video.id = id;
    video.spec.add_prompts("a cat");
    bool replayed = false;
    ASSERT_TRUE(peer.stores.jobs->CreateVideo(video, absl::Now(), &replayed).ok());
  }
  static bool AwaitLease(Peer& peer) {
    return Until([&] {
      const auto leases = peer.stores.jobs->ListHeldLeases();
      return leases.ok() && leases->size() == 1;
    });
  }

  const std::string url_ = PostgresServer::Shared().MakeDatabase();
  PostgresPeersOptions options_;
};

TEST_F(PostgresPeersTest, ProgressAndChangesCrossWithoutThePoll) {
  options_.poll_interval = absl::Hours(1);
  const auto a = Start("a");
  const auto c = Start("c");
  Create(*a, "v");
  const auto watch = c->Watch("v");
  // Nothing is sent until `a` knows that `c` watches.
  v1::Progress got;
  EXPECT_TRUE(Until([&] {
    a->videos.PublishProgress("v", Step(7));
    return watch->TakeProgress(&got);
  }));
  EXPECT_EQ(got.step(), 7u);
  (void)watch->TakeChanged();
  a->videos.Changed("v");
  EXPECT_TRUE(Until([&] { return watch->TakeChanged(); }));
}

TEST_F(PostgresPeersTest, WorkReachesTheOthers) {
  const auto a = Start("a");
  const auto c = Start("c");
  EXPECT_TRUE(Until([&] {
    a->relay.videos().WorkChanged("v");
    return c->works > 0;
  }));
  EXPECT_EQ(a->works, 0);
}

TEST_F(PostgresPeersTest, ThePollFindsWhatNoNoticeTold) {
  options_.poll_interval = absl::Milliseconds(50);
  const auto c = Start("c");
  Create(*c, "v");
  const auto watch = c->Watch("v");
  ASSERT_TRUE(Until([&] { return watch->TakeChanged(); }));
  // A server that changes something and dies before it tells.
  PostgresOptions postgres;
  postgres.url = url_;
  postgres.server_id = "dead";
  const auto pool = OpenPostgres(postgres);
  ASSERT_TRUE(pool.ok()) << pool.status();
  const auto ended = MakePostgresStores(*pool).jobs->CancelVideo("v", absl::Now());
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_TRUE(Until([&] {
    if (!watch->TakeChanged()) return false;
    const auto events = c->stores.jobs->ListEvents("v", 0, 10);
    return events.ok() && events->size() == ended->last_sequence();
  }));
}

TEST_F(PostgresPeersTest, ALostListenerIsReplaced) {
  options_.poll_interval = absl::Hours(1);
  const auto a = Start("a");
  const auto c = Start("c");
  const auto watch = c->Watch("v");
  ASSERT_TRUE(Until([&] {
    a->videos.Changed("v");
    return watch->TakeChanged();
  }));
  const int looks = c->looks;
  PostgresServer::Shared().Psql(
      PostgresServer::Shared().Url(),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'svi-server'");
  v1::Progress got;
  EXPECT_TRUE(Until([&] {
    a->videos.PublishProgress("v", Step(9));
    return watch->TakeProgress(&got);
  }));
  EXPECT_TRUE(watch->TakeChanged()) << "it must look at what it may have missed";
  EXPECT_GT(c->looks, looks);
}

TEST_F(PostgresPeersTest, ServersThatSignOffLeaveTheirLeasesToOthersAtOnce) {
  options_.heartbeat_interval = absl::Milliseconds(50);
  options_.gone_after = absl::Hours(1);
  auto a = Start("a");
  const auto b = Start("b");
  Create(*a, "v");
  ASSERT_TRUE(a->stores.jobs->AcquireLease("v", 0, "workers/w", absl::Now()).ok());
  a->peers->Stop();
  EXPECT_TRUE(AwaitLease(*b));
  EXPECT_THAT(*a->stores.jobs->ListHeldLeases(), SizeIs(0));
}

TEST_F(PostgresPeersTest, ServersThatFallSilentLoseTheirLeases) {
  options_.heartbeat_interval = absl::Milliseconds(50);
  options_.gone_after = absl::Milliseconds(500);
  const auto b = Start("b");
  PostgresPeersOptions silent = options_;
  silent.heartbeat_interval = absl::Hours(1);
  Peer a(url_, "a", silent);
  Create(a, "v");
  ASSERT_TRUE(a.stores.jobs->AcquireLease("v", 0, "workers/w", absl::Now()).ok());
  EXPECT_TRUE(AwaitLease(*b));
}

TEST_F(PostgresPeersTest, AServerThatHasJustComeThinksNobodyGone) {
  options_.gone_after = absl::Minutes(5);
  Stores a;
  {
    PostgresOptions postgres;
    postgres.url = url_;
    postgres.server_id = "a";
    auto pool = OpenPostgres(postgres);
    ASSERT_TRUE(pool.ok());
    a = MakePostgresStores(*pool);
  }
  NewVideo video;
  video.id = "v";
  video.spec.add_prompts("a cat");
  bool replayed = false;
  ASSERT_TRUE(a.jobs->CreateVideo(video, absl::Now(), &replayed).ok());
  ASSERT_TRUE(a.jobs->AcquireLease("v", 0, "workers/w", absl::Now()).ok());
  // It was seen long ago: the database may have been away since.
  PostgresServer::Shared().Psql(url_, "INSERT INTO servers VALUES ('a', 1, 1)");
  const auto b = Start("b");
  EXPECT_THAT(*b->stores.jobs->ListHeldLeases(), SizeIs(0));
  EXPECT_THAT(*a.jobs->ListHeldLeases(), SizeIs(1));
}

TEST_F(PostgresPeersTest, WorkersAreKnownEverywhereUntilTheirServerGoes) {
  options_.heartbeat_interval = absl::Milliseconds(50);
  const auto a = Start("a");
  v1::Worker worker;
  worker.set_name("workers/w");
  worker.add_loras("ink");
  options_.workers = [worker] { return std::vector<v1::Worker>{worker}; };
  const auto b = Start("b");
  EXPECT_TRUE(Until([&] { return a->peers->WorkersElsewhere().size() == 1; }));
  EXPECT_EQ(a->peers->WorkersElsewhere()[0].SerializeAsString(), worker.SerializeAsString());
  EXPECT_THAT(b->peers->WorkersElsewhere(), SizeIs(0)) << "its own are not elsewhere";
  b->peers->Stop();
  EXPECT_TRUE(Until([&] { return a->peers->WorkersElsewhere().empty(); }));
}

}  // namespace
}  // namespace svi::server
