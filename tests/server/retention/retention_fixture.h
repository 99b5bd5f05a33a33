// A job store, a training store and artifacts, filled as the server fills them.
#ifndef SVI_TESTS_SERVER_RETENTION_RETENTION_FIXTURE_H_
#define SVI_TESTS_SERVER_RETENTION_RETENTION_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "server/artifacts/local_artifacts.h"
#include "server/queue/sqlite_stores.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {

class RetentionTest : public testing::Test {
 protected:
  RetentionTest() {
    auto stores = OpenSqliteStores(dir_.File("jobs.db"));
    auto artifacts = OpenLocalArtifacts(dir_.File("artifacts"));
    if (!stores.ok() || !artifacts.ok()) std::abort();
    jobs_ = std::move(stores->jobs);
    training_ = std::move(stores->training);
    artifacts_ = *std::move(artifacts);
  }

  void Put(const std::string& key) { ASSERT_TRUE(artifacts_->Put(key, key).ok()); }
  // Queued, with its picture; `clips` prompts.
  void MakeVideo(const std::string& id, int clips = 2, const std::string& tenant = kDefaultTenant) {
    NewVideo video;
    video.id = id;
    video.tenant = tenant;
    for (int i = 0; i < clips; ++i) video.spec.add_prompts("a cat");
    video.image = *artifacts_->Put(id + "/image", "picture");
    bool replayed = false;
    const auto made = jobs_->CreateVideo(video, now_, &replayed);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  static std::string Key(const std::string& id, uint32_t clip, uint64_t epoch, const char* what) {
    return absl::StrFormat("%s/clip-%05d.e%d.%s", id, clip, epoch, what);
  }
  // Leases and commits it, and deletes what that makes obsolete.
  void MakeClip(const std::string& id, uint32_t clip) {
    const auto leased = jobs_->AcquireLease(id, clip, "workers/w", now_);
    ASSERT_TRUE(leased.ok()) << leased.status();
    FinishedClip finished;
    finished.mp4 = *artifacts_->Put(Key(id, clip, leased->lease.epoch, "mp4"), "clip");
    finished.carry = *artifacts_->Put(Key(id, clip, leased->lease.epoch, "carry"), "carry");
    std::vector<ArtifactRef> obsolete;
    const auto video = jobs_->CommitClip(leased->lease, finished, now_, &obsolete);
    ASSERT_TRUE(video.ok()) << video.status();
    for (const ArtifactRef& artifact : obsolete) ASSERT_TRUE(artifacts_->Delete(artifact).ok());
  }
  void Cancel(const std::string& id) { ASSERT_TRUE(jobs_->CancelVideo(id, now_).ok()); }

  std::set<std::string> Keys() {
    std::set<std::string> keys;
    EXPECT_TRUE(artifacts_
                    ->Visit([&keys](const ArtifactInfo& artifact) {
                      keys.insert(artifact.key);
                      return true;
                    })
                    .ok());
    return keys;
  }
  bool VideoExists(const std::string& id) { return jobs_->GetVideo(id).ok(); }

  TempDir dir_;
  absl::Time now_ = absl::Now();  // artifacts get their times from the real clock
  std::unique_ptr<JobStore> jobs_;
  std::unique_ptr<TrainingStore> training_;
  std::unique_ptr<ArtifactStore> artifacts_;
};

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_RETENTION_RETENTION_FIXTURE_H_
