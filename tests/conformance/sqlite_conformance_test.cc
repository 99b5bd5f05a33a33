// SQLite joins the conformance suites.
#include "server/queue/sqlite_stores.h"
#include "tests/conformance/job_store_conformance.h"
#include "tests/conformance/temp_dir.h"
#include "tests/conformance/training_store_conformance.h"

namespace svi::server {
namespace {

class SqliteDatabase final : public TestDatabase {
 public:
  absl::StatusOr<std::unique_ptr<JobStore>> Open() override {
    return OpenSqliteJobStore(dir_.File("jobs.db"));
  }

 private:
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, JobStoreConformance,
                         testing::Values(JobStoreFactory{"sqlite",
                                                         [] { return std::make_unique<SqliteDatabase>(); }}),
                         [](const testing::TestParamInfo<JobStoreFactory>& info) { return info.param.name; });

class SqliteTrainingDatabase final : public TrainingTestDatabase {
 public:
  absl::StatusOr<std::unique_ptr<TrainingStore>> Open() override {
    return OpenSqliteTrainingStore(dir_.File("jobs.db"));
  }

 private:
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, TrainingStoreConformance,
                         testing::Values(TrainingStoreFactory{
                             "sqlite", [] { return std::make_unique<SqliteTrainingDatabase>(); }}),
                         [](const testing::TestParamInfo<TrainingStoreFactory>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace svi::server
