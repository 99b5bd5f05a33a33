// The conformance suite of TrainingStore: what every store must do. A store joins as with
// JobStoreConformance.
#ifndef SVI_TESTS_CONFORMANCE_TRAINING_STORE_CONFORMANCE_H_
#define SVI_TESTS_CONFORMANCE_TRAINING_STORE_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/queue/training_store.h"
#include "tests/conformance/store_factory.h"

namespace svi::server {

using TrainingTestDatabase = TestDatabaseOf<TrainingStore>;
using TrainingStoreFactory = StoreFactoryOf<TrainingStore>;

class TrainingStoreConformance : public testing::TestWithParam<TrainingStoreFactory> {
 protected:
  void SetUp() override;

  // Closes the store and opens it again.
  void Reopen();

  static NewTrainingRun MakeRun(const std::string& id, const std::string& lora_name = "");
  // Creates it, and fails the test if that does not work.
  v1::TrainingRun Create(const NewTrainingRun& run);
  v1::TrainingRun Create(const std::string& id) { return Create(MakeRun(id)); }
  // The status of creating it, and whether it was the name.
  absl::Status TryCreate(const NewTrainingRun& run, bool* name_taken);

  LeasedRun Acquire(const std::string& id, const std::string& worker = "workers/w1");
  static FinishedRun MakeFinished(const TrainingLease& lease);
  // Leases and commits the run.
  v1::TrainingRun MakeOne(const std::string& id);
  v1::TrainingRun Get(const std::string& id);
  std::vector<v1::TrainingEvent> Events(const std::string& id, uint64_t after = 0);
  // One word an event, e.g. "QUEUED", "started", "failed", "published"; checks that the sequence has no gap.
  std::vector<std::string> Log(const std::string& id);
  std::vector<std::string> QueuedIds();

  // Each call is a second later than the one before.
  absl::Time Now() { return now_ += absl::Seconds(1); }

  static JobStore::FailedAttempt Failed(uint32_t max_attempts = 3);
  static v1::TrainingProgress Progress(uint32_t step);

  std::unique_ptr<TrainingTestDatabase> database_;
  std::unique_ptr<TrainingStore> store_;
  absl::Time now_ = absl::FromUnixMicros(1'700'000'000'123'456);
};

}  // namespace svi::server

#endif  // SVI_TESTS_CONFORMANCE_TRAINING_STORE_CONFORMANCE_H_
