// What is PostgreSQL's own: servers that share it, connections that are lost, migrations that race.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/queue/postgres_stores.h"
#include "server/queue/sql_files.h"
#include "server/queue/sql_migrate.h"
#include "tests/conformance/postgres_server.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(24);

NewVideo Video(const std::string& id) {
  NewVideo video;
  video.id = id;
  video.spec.add_prompts("a cat");
  video.image = {absl::StrCat(id, "/image"), 1, std::string(32, 'h')};
  return video;
}

absl::Status Create(JobStore& store, const std::string& id) {
  bool replayed = false;
  return store.CreateVideo(Video(id), kNow, &replayed).status();
}

class PostgresStoreTest : public testing::Test {
 protected:
  static PostgresServer& server() { return PostgresServer::Shared(); }

  PostgresOptions Options(const std::string& server_id) const {
    PostgresOptions options;
    options.url = url_;
    options.server_id = server_id;
    return options;
  }
  std::shared_ptr<PostgresPool> Open(const PostgresOptions& options) {
    auto pool = OpenPostgres(options);
    EXPECT_TRUE(pool.ok()) << pool.status();
    return pool.ok() ? *std::move(pool) : nullptr;
  }
  Stores OpenStores(const std::string& server_id) { return MakePostgresStores(Open(Options(server_id))); }

  const std::string url_ = server().MakeDatabase();
};

TEST(SqlDialects, HaveTheSameQueries) {
  const auto sqlite = ParseNamedQueries(SqliteQueries());
  const auto postgres = ParseNamedQueries(PostgresQueries());
  ASSERT_TRUE(sqlite.ok()) << sqlite.status();
  ASSERT_TRUE(postgres.ok()) << postgres.status();
  // SQLite's transactions are statements like others.
  const std::set<std::string> transactions = {"begin_read", "begin_write", "commit", "rollback"};
  for (const auto& [name, sql] : *sqlite) {
    EXPECT_TRUE(transactions.count(name) > 0 || postgres->contains(name)) << name;
  }
}

TEST_F(PostgresStoreTest, ServersThatStartAtOnceMigrateOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> opened = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      if (OpenPostgres(Options(absl::StrCat("s", i))).ok()) ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 6);
  EXPECT_EQ(server().Psql(url_, "SELECT COUNT(*) FROM schema_migrations"),
            absl::StrCat(PostgresMigrations().size(), "\n"));
}

TEST_F(PostgresStoreTest, AMigrationThatFailsLeavesTheOldSchema) {
  const auto db = PostgresDb::Open(Options("s"), MigrationQueries());
  ASSERT_TRUE(db.ok()) << db.status();
  const Migration first = {1, "0001_a", "CREATE TABLE a (x BIGINT);"};
  const Migration broken = {2, "0002_b", "CREATE TABLE b (x BIGINT); NONSENSE;"};
  ASSERT_TRUE(Migrate(**db, {first}).ok());
  const absl::Status failed = Migrate(**db, {first, broken});
  EXPECT_EQ(failed.code(), StatusCode::kInternal);
  EXPECT_THAT(std::string(failed.message()), Not(HasSubstr("NONSENSE")));
  EXPECT_FALSE((*db)->in_transaction());
  const Migration mended = {2, "0002_b", "CREATE TABLE b (x BIGINT);"};
  EXPECT_TRUE(Migrate(**db, {first, mended}).ok());
  EXPECT_EQ(Migrate(**db, {first}).code(), StatusCode::kFailedPrecondition);
}

TEST_F(PostgresStoreTest, ALeaseIsOneServers) {
  Stores a = OpenStores("a");
  Stores b = OpenStores("b");
  ASSERT_TRUE(Create(*a.jobs, "v").ok());
  const auto leased = a.jobs->AcquireLease("v", 0, "workers/w", kNow);
  ASSERT_TRUE(leased.ok()) << leased.status();
  const Lease lease = leased->lease;
  EXPECT_TRUE(a.jobs->CheckLease(lease).ok());
  EXPECT_EQ(b.jobs->CheckLease(lease).code(), StatusCode::kAborted);
  EXPECT_EQ(b.jobs->FailLease(lease, {}, kNow).status().code(), StatusCode::kAborted);
  EXPECT_THAT(*b.jobs->ListHeldLeases(), IsEmpty());

  EXPECT_EQ(b.jobs->ClaimLease(lease, "workers/other").code(), StatusCode::kAborted);
  Lease old = lease;
  --old.epoch;
  EXPECT_EQ(b.jobs->ClaimLease(old, "workers/w").code(), StatusCode::kAborted);
  ASSERT_TRUE(b.jobs->ClaimLease(lease, "workers/w").ok());
  EXPECT_TRUE(b.jobs->CheckLease(lease).ok());
  EXPECT_EQ(a.jobs->CheckLease(lease).code(), StatusCode::kAborted);
  EXPECT_THAT(*a.jobs->ListHeldLeases(), IsEmpty());
  EXPECT_THAT(*b.jobs->ListHeldLeases(), SizeIs(1));
  std::vector<ArtifactRef> obsolete;
  EXPECT_EQ(a.jobs->CommitClip(lease, {}, kNow, &obsolete).status().code(), StatusCode::kAborted);
  EXPECT_TRUE(b.jobs->CommitClip(lease, {}, kNow, &obsolete).ok());
}

TEST_F(PostgresStoreTest, ATrainingLeaseIsOneServers) {
  Stores a = OpenStores("a");
  Stores b = OpenStores("b");
  NewTrainingRun run;
  run.id = "r";
  bool replayed = false;
  bool name_taken = false;
  ASSERT_TRUE(a.training->CreateRun(run, kNow, &replayed, &name_taken).ok());
  const auto leased = a.training->AcquireRun("r", "workers/w", kNow);
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_EQ(b.training->CheckRun(leased->lease).code(), StatusCode::kAborted);
  ASSERT_TRUE(b.training->ClaimRun(leased->lease, "workers/w").ok());
  EXPECT_EQ(a.training->SetProgress(leased->lease, {}, kNow).code(), StatusCode::kAborted);
  EXPECT_TRUE(b.training->SetProgress(leased->lease, {}, kNow).ok());
  EXPECT_THAT(*a.training->ListHeldRuns(), IsEmpty());
  EXPECT_THAT(*b.training->ListHeldRuns(), SizeIs(1));
}

TEST_F(PostgresStoreTest, AVideoThatAnotherLeasesIsSkippedAtOnce) {
  const std::shared_ptr<PostgresPool> pool = Open(Options("a"));
  Stores b = OpenStores("b");
  ASSERT_TRUE(Create(*b.jobs, "v").ok());
  ASSERT_TRUE(Create(*b.jobs, "w").ok());
  const absl::Status held = pool->Write([&](SqlDb& db) -> absl::Status {
    EXPECT_TRUE(*db.Query("lock_video", "v").Step());
    // A wait would end in an error, after lock_timeout.
    EXPECT_EQ(b.jobs->AcquireLease("v", 0, "workers/w", kNow).status().code(),
              StatusCode::kFailedPrecondition);
    EXPECT_TRUE(b.jobs->AcquireLease("w", 0, "workers/w", kNow).ok());
    return absl::OkStatus();
  });
  EXPECT_TRUE(held.ok()) << held;
  EXPECT_TRUE(b.jobs->AcquireLease("v", 0, "workers/w", kNow).ok());
}

TEST_F(PostgresStoreTest, LostConnectionsAreReplaced) {
  Stores stores = OpenStores("a");
  ASSERT_TRUE(Create(*stores.jobs, "v").ok());
  server().Psql(
      server().Url(),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'svi-server'");
  // Neither a read nor a write is hurt.
  EXPECT_TRUE(stores.jobs->GetVideo("v").ok());
  server().Psql(
      server().Url(),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'svi-server'");
  EXPECT_TRUE(stores.jobs->CancelVideo("v", kNow).ok());
}

TEST_F(PostgresStoreTest, ATransactionThatLosesItsConnectionRunsOnceMore) {
  const std::shared_ptr<PostgresPool> pool = Open(Options("a"));
  ASSERT_TRUE(Create(*MakePostgresStores(pool).jobs, "v").ok());
  int runs = 0;
  const absl::Status status = pool->Write([&](SqlDb& db) -> absl::Status {
    if (absl::Status changed = db.Query("delete_video", "v").Run(); !changed.ok()) return changed;
    if (++runs == 1) (void)db.Exec("SELECT pg_terminate_backend(pg_backend_pid())");
    return db.Exec("SELECT 1");
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(server().Psql(url_, "SELECT COUNT(*) FROM videos"), "0\n");
}

TEST_F(PostgresStoreTest, ACrashedServerIsUnavailableUntilItIsBack) {
  Stores stores = OpenStores("a");
  ASSERT_TRUE(Create(*stores.jobs, "before").ok());
  server().Kill();
  EXPECT_EQ(stores.jobs->GetVideo("before").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Create(*stores.jobs, "during").code(), StatusCode::kUnavailable);
  server().Start();
  EXPECT_TRUE(stores.jobs->GetVideo("before").ok());
  EXPECT_EQ(stores.jobs->GetVideo("during").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Create(*stores.jobs, "after").ok());
}

TEST_F(PostgresStoreTest, AServerThatDoesNotAnswerIsUnavailable) {
  PostgresOptions options = Options("a");
  options.statement_limit = absl::Seconds(2);
  options.connect_limit = absl::Seconds(2);
  const std::shared_ptr<PostgresPool> pool = Open(options);
  Stores stores = MakePostgresStores(pool);
  ASSERT_TRUE(Create(*stores.jobs, "v").ok());
  // The backend of the pool's one connection, and the postmaster, which would make others.
  const std::string pids =
      server().Psql(server().Url(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'svi-server'");
  std::vector<pid_t> backends;
  std::istringstream lines(pids);
  for (pid_t pid; lines >> pid;) backends.push_back(pid);
  server().Signal(SIGSTOP);
  for (const pid_t pid : backends) kill(pid, SIGSTOP);
  EXPECT_EQ(stores.jobs->GetVideo("v").status().code(), StatusCode::kUnavailable);
  for (const pid_t pid : backends) kill(pid, SIGCONT);
  server().Signal(SIGCONT);
  // On a busy machine what was stopped may take longer than these limits to be itself again.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!stores.jobs->GetVideo("v").ok() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_TRUE(stores.jobs->GetVideo("v").ok());
}

TEST_F(PostgresStoreTest, WhoFindsNoConnectionWaitsNoLongerThanTheLimit) {
  PostgresOptions options = Options("a");
  options.max_connections = 1;
  options.wait_limit = absl::Milliseconds(50);
  const std::shared_ptr<PostgresPool> pool = Open(options);
  const absl::Status outer =
      pool->Read([&](SqlDb&) -> absl::Status { return pool->Read([](SqlDb&) { return absl::OkStatus(); }); });
  EXPECT_EQ(outer.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(pool->Read([](SqlDb&) { return absl::OkStatus(); }).ok());
}

TEST_F(PostgresStoreTest, AnErrorNeitherHoldsSqlNorThePassword) {
  for (const char* url : {"postgresql://svi:se%cret@host/db", "postgresql://svi:secret@/db?nonsense=1"}) {
    PostgresOptions options;
    options.url = url;
    const absl::Status status = OpenPostgres(options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("se"))) << url;
  }
  PostgresOptions options;
  options.url = "postgresql://svi@/db?host=/nowhere/at/all";
  options.password = "secret";
  const absl::Status status = OpenPostgres(options).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST_F(PostgresStoreTest, ThePasswordIsTheOptionsOrOfPgpassfile) {
  server().MakeUserWithPassword("guarded", "pass word");
  PostgresOptions options = Options("a");
  options.url.replace(options.url.find("svi@"), 4, "guarded@");
  // The new rule is not read at once.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (OpenPostgres(options).ok() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(OpenPostgres(options).status().code(), StatusCode::kUnavailable);

  options.password = "wrong";
  const absl::Status wrong = OpenPostgres(options).status();
  EXPECT_EQ(wrong.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("password authentication failed"));
  options.password = "pass word";
  EXPECT_TRUE(OpenPostgres(options).ok());

  options.password = "";
  const TempDir dir;
  const std::string file = dir.File("pgpass");
  std::ofstream(file) << "*:*:*:guarded:pass word\n";
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  setenv("PGPASSFILE", file.c_str(), 1);
  EXPECT_TRUE(OpenPostgres(options).ok());
  unsetenv("PGPASSFILE");
}

TEST(PostgresStatus, Codes) {
  for (const char* state :
       {"08006", "57P01", "25006", "40001", "55P03", "57014", "53100", "53300", "58030"}) {
    EXPECT_EQ(PostgresStatus(state).code(), StatusCode::kUnavailable) << state;
  }
  EXPECT_EQ(PostgresStatus("XX001").code(), StatusCode::kDataLoss);
  EXPECT_EQ(PostgresStatus("42601").code(), StatusCode::kInternal);
}

}  // namespace
}  // namespace svi::server
