// The conformance suite of JobStore: what every store must do. A store joins with
//   INSTANTIATE_TEST_SUITE_P(Name, JobStoreConformance, testing::Values(JobStoreFactory{…}));
// in a binary that is linked with the sources of job_store_conformance (tests/conformance/CMakeLists.txt).
#ifndef SVI_TESTS_CONFORMANCE_JOB_STORE_CONFORMANCE_H_
#define SVI_TESTS_CONFORMANCE_JOB_STORE_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/queue/job_store.h"
#include "tests/conformance/store_factory.h"

namespace svi::server {

using TestDatabase = TestDatabaseOf<JobStore>;
using JobStoreFactory = StoreFactoryOf<JobStore>;

class JobStoreConformance : public testing::TestWithParam<JobStoreFactory> {
 protected:
  void SetUp() override;

  // Closes the store and opens it again.
  void Reopen();

  // A video with these prompts and an image ref; further fields are set by the caller.
  static NewVideo MakeVideo(const std::string& id, const std::vector<std::string>& prompts = {"a cat"});
  // Creates it, and fails the test if that does not work.
  v1::Video Create(const NewVideo& video);
  v1::Video Create(const std::string& id, const std::vector<std::string>& prompts = {"a cat"}) {
    return Create(MakeVideo(id, prompts));
  }

  LeasedClip Acquire(const std::string& id, uint32_t clip);
  static FinishedClip MakeClip(const Lease& lease);
  v1::Video Commit(const Lease& lease);
  // Leases and commits the clip.
  v1::Video MakeOne(const std::string& id, uint32_t clip) { return Commit(Acquire(id, clip).lease); }
  v1::Video Get(const std::string& id);
  std::vector<v1::VideoEvent> Events(const std::string& id, uint64_t after = 0);
  // One word an event, e.g. "QUEUED", "started 0", "done 0", "failed 0", "prompts"; checks that the sequence
  // has no gap.
  std::vector<std::string> Log(const std::string& id);
  std::vector<CurrentClip> CurrentClips(int limit = 100);
  // "id:index" of the clips that wait, by (priority desc, ready_since).
  std::vector<std::string> LeasableIds(int limit = 100);

  // Each call is a second later than the one before.
  absl::Time Now() { return now_ += absl::Seconds(1); }

  static JobStore::FailedAttempt Failed(uint32_t max_attempts = 3);

  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<JobStore> store_;
  absl::Time now_ = absl::FromUnixMicros(1'700'000'000'123'456);
};

}  // namespace svi::server

#endif  // SVI_TESTS_CONFORMANCE_JOB_STORE_CONFORMANCE_H_
