// PostgreSQL joins the conformance suites.
#include "server/queue/postgres_stores.h"
#include "tests/conformance/job_store_conformance.h"
#include "tests/conformance/postgres_server.h"
#include "tests/conformance/training_store_conformance.h"

namespace svi::server {
namespace {

absl::StatusOr<Stores> OpenStores(const std::string& url) {
  PostgresOptions options;
  options.url = url;
  options.server_id = "this";
  absl::StatusOr<std::shared_ptr<PostgresPool>> pool = OpenPostgres(options);
  if (!pool.ok()) return pool.status();
  return MakePostgresStores(*pool);
}

class PostgresDatabase final : public TestDatabase {
 public:
  absl::StatusOr<std::unique_ptr<JobStore>> Open() override {
    absl::StatusOr<Stores> stores = OpenStores(url_);
    if (!stores.ok()) return stores.status();
    return std::move(stores->jobs);
  }

 private:
  const std::string url_ = PostgresServer::Shared().MakeDatabase();
};

INSTANTIATE_TEST_SUITE_P(Postgres, JobStoreConformance,
                         testing::Values(JobStoreFactory{
                             "postgres", [] { return std::make_unique<PostgresDatabase>(); }}),
                         [](const testing::TestParamInfo<JobStoreFactory>& info) { return info.param.name; });

class PostgresTrainingDatabase final : public TrainingTestDatabase {
 public:
  absl::StatusOr<std::unique_ptr<TrainingStore>> Open() override {
    absl::StatusOr<Stores> stores = OpenStores(url_);
    if (!stores.ok()) return stores.status();
    return std::move(stores->training);
  }

 private:
  const std::string url_ = PostgresServer::Shared().MakeDatabase();
};

INSTANTIATE_TEST_SUITE_P(Postgres, TrainingStoreConformance,
                         testing::Values(TrainingStoreFactory{
                             "postgres", [] { return std::make_unique<PostgresTrainingDatabase>(); }}),
                         [](const testing::TestParamInfo<TrainingStoreFactory>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace svi::server
