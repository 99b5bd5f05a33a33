#include "tests/conformance/training_store_conformance.h"

#include "absl/strings/str_cat.h"
#include "server/queue/training_states.h"

namespace svi::server {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TrainingStoreConformance);

void TrainingStoreConformance::SetUp() {
  database_ = GetParam().make();
  Reopen();
}

void TrainingStoreConformance::Reopen() {
  store_ = nullptr;
  auto store = database_->Open();
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

NewTrainingRun TrainingStoreConformance::MakeRun(const std::string& id, const std::string& lora_name) {
  NewTrainingRun run;
  run.id = id;
  run.spec.set_dataset("scenes");
  run.spec.set_max_steps(100);
  run.spec.set_lora_name(lora_name);
  run.spec.set_variant(v1::VARIANT_FILM);
  return run;
}

absl::Status TrainingStoreConformance::TryCreate(const NewTrainingRun& run, bool* name_taken) {
  bool replayed = false;
  return store_->CreateRun(run, Now(), &replayed, name_taken).status();
}

v1::TrainingRun TrainingStoreConformance::Create(const NewTrainingRun& run) {
  bool replayed = true;
  bool name_taken = true;
  const auto created = store_->CreateRun(run, Now(), &replayed, &name_taken);
  EXPECT_TRUE(created.ok()) << created.status();
  EXPECT_FALSE(replayed || name_taken);
  return created.ok() ? *created : v1::TrainingRun();
}

LeasedRun TrainingStoreConformance::Acquire(const std::string& id, const std::string& worker) {
  const auto leased = store_->AcquireRun(id, worker, Now());
  EXPECT_TRUE(leased.ok()) << leased.status();
  return leased.ok() ? *leased : LeasedRun();
}

FinishedRun TrainingStoreConformance::MakeFinished(const TrainingLease& lease) {
  FinishedRun finished;
  finished.progress = Progress(100);
  finished.rank = 16;
  finished.lora =
      ArtifactRef{absl::StrCat(lease.run_id, "/lora.e", lease.epoch), 4096, std::string(32, '\x03')};
  return finished;
}

v1::TrainingRun TrainingStoreConformance::MakeOne(const std::string& id) {
  const TrainingLease lease = Acquire(id).lease;
  const auto run = store_->CommitRun(lease, MakeFinished(lease), Now());
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *run : v1::TrainingRun();
}

v1::TrainingRun TrainingStoreConformance::Get(const std::string& id) {
  const auto run = store_->GetRun(id);
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *run : v1::TrainingRun();
}

std::vector<v1::TrainingEvent> TrainingStoreConformance::Events(const std::string& id, uint64_t after) {
  const auto events = store_->ListRunEvents(id, after, 100'000);
  EXPECT_TRUE(events.ok()) << events.status();
  return events.ok() ? *events : std::vector<v1::TrainingEvent>();
}

std::vector<std::string> TrainingStoreConformance::Log(const std::string& id) {
  std::vector<std::string> log;
  for (const v1::TrainingEvent& event : Events(id)) {
    EXPECT_EQ(event.sequence(), log.size() + 1);
    EXPECT_GT(event.time().seconds(), 0);
    switch (event.event_case()) {
      case v1::TrainingEvent::kStateChanged:
        log.emplace_back(StateName(event.state_changed().state()));
        break;
      case v1::TrainingEvent::kStarted:
        log.push_back("started");
        break;
      case v1::TrainingEvent::kAttemptFailed:
        log.push_back("failed");
        break;
      case v1::TrainingEvent::kPublished:
        log.push_back("published");
        break;
      default:
        log.push_back("?");
    }
  }
  EXPECT_EQ(Get(id).last_sequence(), log.size());
  return log;
}

std::vector<std::string> TrainingStoreConformance::QueuedIds() {
  const auto queued = store_->ListQueued(100);
  EXPECT_TRUE(queued.ok()) << queued.status();
  std::vector<std::string> ids;
  if (!queued.ok()) return ids;
  for (const QueuedRun& run : *queued) ids.push_back(run.run_id);
  return ids;
}

JobStore::FailedAttempt TrainingStoreConformance::Failed(uint32_t max_attempts) {
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
  failure.error.set_reason("LEASE_EXPIRED");
  failure.error.set_message("The worker went away.");
  failure.max_attempts = max_attempts;
  return failure;
}

v1::TrainingProgress TrainingStoreConformance::Progress(uint32_t step) {
  v1::TrainingProgress progress;
  progress.set_step(step);
  progress.set_max_steps(100);
  progress.set_loss(0.5);
  return progress;
}

}  // namespace svi::server
