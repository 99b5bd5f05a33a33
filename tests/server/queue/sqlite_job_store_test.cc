// What is SQLite's own: migrations, a broken file, a full disk, a killed process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/queue/sql_files.h"
#include "server/queue/sql_migrate.h"
#include "server/queue/sqlite_db.h"
#include "server/queue/sqlite_stores.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(24);

NewVideo Video(const std::string& id, size_t prompt_bytes = 10) {
  NewVideo video;
  video.id = id;
  video.spec.add_prompts(std::string(prompt_bytes, 'x'));
  video.image = {absl::StrCat(id, "/image"), 1, std::string(32, 'h')};
  return video;
}

absl::Status Create(JobStore& store, const NewVideo& video) {
  bool replayed = false;
  return store.CreateVideo(video, kNow, &replayed).status();
}

class SqliteJobStoreTest : public testing::Test {
 protected:
  std::unique_ptr<JobStore> Open() {
    absl::StatusOr<std::unique_ptr<JobStore>> store = OpenSqliteJobStore(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  absl::Status OpenStatus() { return OpenSqliteJobStore(path_).status(); }
  void ExpectNoPath(const absl::Status& status) {
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(dir_.path().filename().string())));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("jobs.db")));
  }
  // Runs `sql` behind the store's back.
  void Execute(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  TempDir dir_;
  const std::string path_ = dir_.File("jobs.db");
};

TEST_F(SqliteJobStoreTest, ADatabaseThatIsNewerIsRefused) {
  ASSERT_NE(Open(), nullptr);
  Execute("INSERT INTO schema_migrations VALUES (9999, '9999_of_the_future')");
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("schema version 9999"));
  ExpectNoPath(status);
}

TEST_F(SqliteJobStoreTest, MigrationsAreAppliedOnceAndInOrder) {
  absl::StatusOr<std::unique_ptr<SqliteDb>> db = SqliteDb::Open(path_, MigrationQueries());
  ASSERT_TRUE(db.ok()) << db.status();
  const Migration first = {1, "0001_a", "CREATE TABLE a (x INTEGER);"};
  const Migration second = {2, "0002_b", "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES (1, 2);"};
  ASSERT_TRUE(Migrate(**db, {first}).ok());
  ASSERT_TRUE(Migrate(**db, {first, second}).ok());
  ASSERT_TRUE(Migrate(**db, {first, second}).ok());
  EXPECT_TRUE((*db)->Exec("INSERT INTO a (x, y) VALUES (3, 4)").ok());
  EXPECT_EQ(Migrate(**db, {first}).code(), StatusCode::kFailedPrecondition);
}

TEST_F(SqliteJobStoreTest, AMigrationThatFailsLeavesTheOldSchema) {
  absl::StatusOr<std::unique_ptr<SqliteDb>> db = SqliteDb::Open(path_, MigrationQueries());
  ASSERT_TRUE(db.ok()) << db.status();
  const Migration first = {1, "0001_a", "CREATE TABLE a (x INTEGER);"};
  const Migration broken = {2, "0002_b", "CREATE TABLE b (x INTEGER); NONSENSE;"};
  ASSERT_TRUE(Migrate(**db, {first}).ok());
  EXPECT_FALSE(Migrate(**db, {first, broken}).ok());
  EXPECT_FALSE((*db)->in_transaction());
  EXPECT_FALSE((*db)->Exec("SELECT * FROM b").ok());
  const Migration mended = {2, "0002_b", "CREATE TABLE b (x INTEGER);"};
  EXPECT_TRUE(Migrate(**db, {first, mended}).ok());
}

// The clips that wait in a database from before 0002_loras.
TEST_F(SqliteJobStoreTest, ClipsFromBeforeLorasStayLeasable) {
  {
    absl::StatusOr<std::unique_ptr<SqliteDb>> db = SqliteDb::Open(path_, MigrationQueries());
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_EQ(SqliteMigrations()[0].number, 1);
    ASSERT_TRUE(Migrate(**db, {SqliteMigrations()[0]}).ok());
    ASSERT_TRUE(
        (*db)
            ->Exec("INSERT INTO videos VALUES ('old', 1, 7, 1, 1, 0, 1, 1, NULL, 5, 5, NULL, 'k', 1, x'00');"
                   "INSERT INTO video_specs VALUES ('old', x'');"
                   "INSERT INTO clips (video_id, clip_index, state, priority, ready_since_us) "
                   "VALUES ('old', 0, 1, 7, 5);")
            .ok());
  }
  const std::unique_ptr<JobStore> store = Open();
  ASSERT_NE(store, nullptr);
  const absl::StatusOr<std::vector<CurrentClip>> clips = store->ListCurrentClips("", 10);
  ASSERT_TRUE(clips.ok()) << clips.status();
  ASSERT_EQ(clips->size(), 1u);
  EXPECT_EQ((*clips)[0].video_id, "old");
  EXPECT_EQ((*clips)[0].priority, 7);
  EXPECT_TRUE((*clips)[0].loras.empty());
}

// With a million videos, what the scheduling policy asks for must not read all of them.
TEST_F(SqliteJobStoreTest, ClipsAreFoundThroughTheirIndexes) {
  ASSERT_NE(Open(), nullptr);
  absl::StatusOr<NamedQueries> queries = ParseNamedQueries(SqliteQueries());
  ASSERT_TRUE(queries.ok()) << queries.status();
  const std::map<std::string, std::string> indexes = {
      {"list_current_clips", "clips_current"}, {"find_current_clip", "clips_current"},
      {"count_leasable", "clips_current"},     {"list_served_clips", "clips_served"},
      {"count_active", "videos_active"},       {"count_active_of_tenant", "videos_active"}};
  NamedQueries plans;
  for (const auto& [name, index] : indexes) plans[name] = "EXPLAIN QUERY PLAN " + queries->at(name);
  absl::StatusOr<std::unique_ptr<SqliteDb>> db = SqliteDb::Open(path_, plans);
  ASSERT_TRUE(db.ok()) << db.status();
  for (const auto& [name, index] : indexes) {
    Statement rows = (*db)->Query(name);
    std::string plan;
    for (auto more = rows.Step(); more.ok() && *more; more = rows.Step()) plan += rows.Bytes(3) + "\n";
    EXPECT_THAT(plan, HasSubstr(index)) << name;
    EXPECT_THAT(plan, Not(HasSubstr("TEMP B-TREE"))) << name;
  }
}

TEST_F(SqliteJobStoreTest, CommitsReachTheDisk) {
  ASSERT_NE(Open(), nullptr);
  const NamedQueries pragmas = {
      {"journal", "PRAGMA journal_mode"}, {"sync", "PRAGMA synchronous"}, {"keys", "PRAGMA foreign_keys"}};
  absl::StatusOr<std::unique_ptr<SqliteDb>> db = SqliteDb::Open(path_, pragmas);
  ASSERT_TRUE(db.ok()) << db.status();
  Statement journal = (*db)->Query("journal");
  ASSERT_TRUE(journal.Step().ok());
  EXPECT_EQ(journal.Bytes(0), "wal");
  Statement sync = (*db)->Query("sync");
  ASSERT_TRUE(sync.Step().ok());
  EXPECT_EQ(sync.Int(0), 2);  // FULL
  Statement keys = (*db)->Query("keys");
  ASSERT_TRUE(keys.Step().ok());
  EXPECT_EQ(keys.Int(0), 1);
}

TEST_F(SqliteJobStoreTest, AFileThatIsNoDatabaseIsDataLoss) {
  std::ofstream(path_) << std::string(10'000, 'z');
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  ExpectNoPath(status);
}

TEST_F(SqliteJobStoreTest, AFolderThatIsNotThereIsUnavailable) {
  const absl::Status status = OpenSqliteJobStore(dir_.File("nowhere/jobs.db")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("nowhere")));
}

TEST_F(SqliteJobStoreTest, ADamagedRecordIsDataLoss) {
  {
    std::unique_ptr<JobStore> store = Open();
    ASSERT_NE(store, nullptr);
    ASSERT_TRUE(Create(*store, Video("v")).ok());
  }
  Execute("UPDATE video_specs SET spec = x'ff'");
  std::unique_ptr<JobStore> store = Open();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->GetVideo("v").status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(store->CancelVideo("v", kNow).status().code(), StatusCode::kDataLoss);
}

TEST_F(SqliteJobStoreTest, AClipThatContradictsItsVideoChangesNothing) {
  {
    std::unique_ptr<JobStore> store = Open();
    ASSERT_NE(store, nullptr);
    ASSERT_TRUE(Create(*store, Video("v")).ok());
  }
  Execute("UPDATE clips SET state = 2, epoch = 1");  // leased, though the video is QUEUED
  std::unique_ptr<JobStore> store = Open();
  ASSERT_NE(store, nullptr);
  std::vector<ArtifactRef> obsolete;
  EXPECT_EQ(store->CommitClip({"v", 0, 1}, {}, kNow, &obsolete).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(store->CancelVideo("v", kNow).status().code(), StatusCode::kDataLoss);
  const absl::StatusOr<v1::Video> video = store->GetVideo("v");
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(video->last_sequence(), 1);
}

// Runs `body` in a child process and returns how it ended. The child never returns into gtest.
template <typename Body>
int InChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST_F(SqliteJobStoreTest, AFullDiskIsUnavailableAndLeavesTheStoreUsable) {
  // The limit on the size of files stands for the full disk; it is for the child alone.
  const int status = InChild([&] {
    std::unique_ptr<JobStore> store = Open();
    if (store == nullptr || !Create(*store, Video("before")).ok()) return 1;
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlim_t enough = limit.rlim_cur;
    limit.rlim_cur = 512 * 1024;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    const absl::Status full = Create(*store, Video("big", 4 << 20));
    if (full.code() != StatusCode::kUnavailable) return 3;
    if (absl::StrContains(full.message(), "jobs.db")) return 4;
    if (!store->GetVideo("before").ok()) return 5;
    limit.rlim_cur = enough;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 6;
    if (store->GetVideo("big").status().code() != StatusCode::kNotFound) return 7;
    return Create(*store, Video("after", 4 << 20)).ok() ? 0 : 8;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SqliteJobStoreTest, WhatWasCommittedSurvivesSigkill) {
  int acknowledged[2];
  ASSERT_EQ(pipe(acknowledged), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(acknowledged[0]);
    std::unique_ptr<JobStore> store = Open();
    for (uint32_t i = 0; store != nullptr; ++i) {
      const std::string id = absl::StrCat("v", i);
      if (!Create(*store, Video(id, 2000)).ok()) break;
      if (!store->AcquireLease(id, 0, "workers/w1", kNow).ok()) break;
      std::vector<ArtifactRef> obsolete;
      FinishedClip clip;
      clip.mp4 = {absl::StrCat(id, "/clip"), i, "hash"};
      if (!store->CommitClip({id, 0, 1}, clip, kNow, &obsolete).ok()) break;
      if (write(acknowledged[1], &i, sizeof(i)) != sizeof(i)) break;
    }
    _exit(1);
  }
  close(acknowledged[1]);
  // The child is killed somewhere in the transactions that follow the 20th acknowledged video.
  uint32_t last = 0;
  bool killed = false;
  for (uint32_t id; read(acknowledged[0], &id, sizeof(id)) == sizeof(id);) {
    last = id;
    if (last >= 20 && !killed) killed = kill(child, SIGKILL) == 0;
  }
  close(acknowledged[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(killed);
  ASSERT_TRUE(WIFSIGNALED(status));

  std::unique_ptr<JobStore> store = Open();
  ASSERT_NE(store, nullptr);
  for (uint32_t i = 0; i <= last; ++i) {
    const std::string id = absl::StrCat("v", i);
    const absl::StatusOr<v1::Video> video = store->GetVideo(id);
    ASSERT_TRUE(video.ok()) << id << ": " << video.status();
    EXPECT_EQ(video->state(), v1::VIDEO_STATE_SUCCEEDED);
    ASSERT_EQ(video->clips_size(), 1);
    const absl::StatusOr<std::vector<v1::VideoEvent>> events = store->ListEvents(id, 0, 10);
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_EQ(events->size(), 5);  // QUEUED, RUNNING, started, done, SUCCEEDED
    for (size_t j = 0; j < events->size(); ++j) EXPECT_EQ((*events)[j].sequence(), j + 1);
  }
  // And it goes on.
  EXPECT_TRUE(Create(*store, Video("next")).ok());
}

TEST(SqliteStatus, Codes) {
  EXPECT_TRUE(SqliteStatus(SQLITE_DONE).ok());
  for (const int code :
       {SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_NOMEM}) {
    EXPECT_EQ(SqliteStatus(code).code(), StatusCode::kUnavailable) << code;
  }
  for (const int code : {SQLITE_CORRUPT, SQLITE_CORRUPT_INDEX, SQLITE_NOTADB}) {
    EXPECT_EQ(SqliteStatus(code).code(), StatusCode::kDataLoss) << code;
  }
  EXPECT_EQ(SqliteStatus(SQLITE_CONSTRAINT_UNIQUE).code(), StatusCode::kInternal);
}

}  // namespace
}  // namespace svi::server
