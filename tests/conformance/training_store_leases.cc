// Conformance: leases, fencing, retries, progress, and published LoRAs.
#include <google/protobuf/util/message_differencer.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/conformance/training_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TEST_P(TrainingStoreConformance, ALeaseHoldsWhatATrainerNeeds) {
  const NewTrainingRun run = MakeRun("r");
  Create(run);
  const LeasedRun leased = Acquire("r");
  EXPECT_EQ(leased.lease, (TrainingLease{"r", 1}));
  EXPECT_EQ(leased.attempt, 1U);
  EXPECT_TRUE(MessageDifferencer::Equals(leased.spec, run.spec));
  EXPECT_TRUE(store_->CheckRun(leased.lease).ok());
  EXPECT_THAT(QueuedIds(), IsEmpty());
  EXPECT_EQ(Get("r").state(), v1::TRAINING_STATE_RUNNING);
  EXPECT_EQ(Get("r").worker(), "workers/w1");
  EXPECT_EQ(Get("r").attempt(), 1U);
  EXPECT_EQ(Events("r").back().started().worker(), "workers/w1");
  EXPECT_EQ(store_->AcquireRun("r", "workers/w2", Now()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->AcquireRun("none", "workers/w2", Now()).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Log("r"), ElementsAre("QUEUED", "RUNNING", "started"));
}

TEST_P(TrainingStoreConformance, RunsAreQueuedInTheOrderOfTheirWaiting) {
  for (const char* id : {"b", "a", "c"}) Create(id);
  EXPECT_THAT(QueuedIds(), ElementsAre("b", "a", "c"));
  ASSERT_TRUE(store_->FailRun(Acquire("b").lease, Failed(), Now()).ok());
  EXPECT_THAT(QueuedIds(), ElementsAre("a", "c", "b"));
  EXPECT_EQ(store_->ListQueued(2)->size(), 2U);
  EXPECT_EQ(store_->ListQueued(3)->at(2).worker, "workers/w1");
  EXPECT_EQ(store_->ListQueued(3)->at(0).worker, "");
}

TEST_P(TrainingStoreConformance, ACommittedRunPublishesItsLora) {
  Create(MakeRun("r", "Ink_1"));
  const TrainingLease lease = Acquire("r").lease;
  EXPECT_EQ(store_->CommittedBy(lease).code(), StatusCode::kNotFound);
  const auto run = store_->CommitRun(lease, MakeFinished(lease), Now());
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), v1::TRAINING_STATE_SUCCEEDED);
  EXPECT_EQ(run->lora(), "loras/Ink_1");
  EXPECT_EQ(run->progress().step(), 100U);
  EXPECT_TRUE(run->has_end_time());
  EXPECT_TRUE(MessageDifferencer::Equals(Get("r"), *run));
  EXPECT_TRUE(store_->CommittedBy(lease).ok());
  EXPECT_EQ(store_->CommittedBy({"r", 2}).code(), StatusCode::kNotFound);
  EXPECT_THAT(Log("r"), ElementsAre("QUEUED", "RUNNING", "started", "published", "SUCCEEDED"));
  const auto stored = store_->GetLora("Ink_1");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->lora.name(), "loras/Ink_1");
  EXPECT_EQ(stored->lora.size_bytes(), 4096U);
  EXPECT_EQ(stored->lora.sha256(), std::string(32, '\x03'));
  EXPECT_EQ(stored->lora.rank(), 16U);
  EXPECT_EQ(stored->lora.variant(), v1::VARIANT_FILM);
  EXPECT_EQ(stored->lora.training_run(), "trainingRuns/r");
  EXPECT_EQ(stored->lora.create_time().seconds(), absl::ToUnixSeconds(now_));
  EXPECT_EQ(stored->file.key, "r/lora.e1");
  EXPECT_EQ(stored->file.size, 4096U);
  EXPECT_EQ(stored->file.sha256, std::string(32, '\x03'));
  EXPECT_TRUE(MessageDifferencer::Equals(Events("r")[3].published(), stored->lora));
}

TEST_P(TrainingStoreConformance, AFullRunPublishesNone) {
  NewTrainingRun run = MakeRun("r", "ink");
  run.spec.set_objective(v1::OBJECTIVE_FULL);
  Create(run);
  const TrainingLease lease = Acquire("r").lease;
  FinishedRun finished = MakeFinished(lease);
  EXPECT_EQ(store_->CommitRun(lease, finished, Now()).status().code(), StatusCode::kInvalidArgument);
  finished.lora.reset();
  const auto done = store_->CommitRun(lease, finished, Now());
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->lora(), "");
  EXPECT_THAT(Log("r"), ElementsAre("QUEUED", "RUNNING", "started", "SUCCEEDED"));
  EXPECT_THAT(store_->ListLoras(10, "")->loras, IsEmpty());
  Create("lora");
  const TrainingLease other = Acquire("lora").lease;
  EXPECT_EQ(store_->CommitRun(other, finished, Now()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(store_->CheckRun(other).ok());
}

TEST_P(TrainingStoreConformance, OldEpochsOfRunsAreFencedOff) {
  Create("r");
  const TrainingLease old_lease = Acquire("r").lease;
  ASSERT_TRUE(store_->FailRun(old_lease, Failed(), Now()).ok());
  const auto expect_fenced = [&](const TrainingLease& lease) {
    EXPECT_EQ(store_->CheckRun(lease).code(), StatusCode::kAborted);
    EXPECT_EQ(store_->SetProgress(lease, Progress(9), Now()).code(), StatusCode::kAborted);
    EXPECT_EQ(store_->CommitRun(lease, MakeFinished(lease), Now()).status().code(), StatusCode::kAborted);
    EXPECT_EQ(store_->FailRun(lease, Failed(), Now()).status().code(), StatusCode::kAborted);
  };
  expect_fenced(old_lease);  // nobody holds it
  const TrainingLease current = Acquire("r").lease;
  EXPECT_EQ(current.epoch, 2U);
  expect_fenced(old_lease);  // another one holds it
  expect_fenced({"r", 3});   // an epoch that is still to come
  EXPECT_TRUE(store_->CheckRun(current).ok());
  EXPECT_FALSE(Get("r").has_progress());
  ASSERT_TRUE(store_->CommitRun(current, MakeFinished(current), Now()).ok());
  expect_fenced(current);  // it is done
  EXPECT_EQ(store_->CheckRun({"none", 1}).code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->GetLora("r")->file.key, "r/lora.e2");
}

TEST_P(TrainingStoreConformance, RunsAreRetriedUpToTheLimit) {
  Create("r");
  for (uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const LeasedRun leased = Acquire("r");
    EXPECT_EQ(leased.attempt, attempt);
    const auto run = store_->FailRun(leased.lease, Failed(3), Now());
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(run->state(), attempt < 3 ? v1::TRAINING_STATE_QUEUED : v1::TRAINING_STATE_FAILED);
    EXPECT_EQ(run->has_error(), attempt == 3);
  }
  EXPECT_EQ(Get("r").error().reason(), "LEASE_EXPIRED");
  const auto events = Events("r");
  EXPECT_TRUE(MessageDifferencer::Equals(events.back().state_changed().error(), Get("r").error()));
  const v1::TrainingAttemptFailed& last = events[events.size() - 2].attempt_failed();
  EXPECT_EQ(last.attempt(), 3U);
  EXPECT_EQ(last.max_attempts(), 3U);
  EXPECT_EQ(last.error().reason(), "LEASE_EXPIRED");
  EXPECT_EQ(store_->AcquireRun("r", "w", Now()).status().code(), StatusCode::kFailedPrecondition);
}

TEST_P(TrainingStoreConformance, PermanentFailuresEndARunAndHandingBackCountsNothing) {
  Create("r");
  JobStore::FailedAttempt failure = Failed(1);
  failure.handed_back = true;
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    const LeasedRun leased = Acquire("r");
    EXPECT_EQ(leased.attempt, 1U);
    EXPECT_EQ(leased.lease.epoch, epoch);
    const auto run = store_->FailRun(leased.lease, failure, Now());
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(run->state(), v1::TRAINING_STATE_QUEUED);
    EXPECT_EQ(run->attempt(), 0U);
  }
  EXPECT_THAT(Log("r"), Not(Contains("failed")));
  failure = Failed(3);
  failure.permanent = true;
  EXPECT_EQ(store_->FailRun(Acquire("r").lease, failure, Now())->state(), v1::TRAINING_STATE_FAILED);
}

TEST_P(TrainingStoreConformance, HeldRunsAreListed) {
  for (const char* id : {"a", "b", "c"}) Create(id);
  Acquire("b", "workers/w7");
  const auto held = store_->ListHeldRuns();
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->size(), 1U);
  EXPECT_EQ(held->front().lease, (TrainingLease{"b", 1}));
  EXPECT_EQ(held->front().worker, "workers/w7");
}

TEST_P(TrainingStoreConformance, OneOfManyGetsTheRun) {
  Create("r");
  const absl::Time now = Now();
  std::atomic<int> winners = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      if (store_->AcquireRun("r", absl::StrCat("workers/", i), now).ok()) ++winners;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
  EXPECT_THAT(Log("r"), ElementsAre("QUEUED", "RUNNING", "started"));
}

TEST_P(TrainingStoreConformance, ProgressIsSeenAtOnceAndOnDiskNowAndThen) {
  Create("r");
  const TrainingLease lease = Acquire("r").lease;
  const absl::Time start = Now();
  // A report every 100 ms: the first is stored, and then one each interval.
  for (uint32_t step = 1; step <= 149; ++step) {
    ASSERT_TRUE(store_->SetProgress(lease, Progress(step), start + step * absl::Milliseconds(100)).ok());
    ASSERT_EQ(Get("r").progress().step(), step);
  }
  EXPECT_EQ(store_->ListRuns(kDefaultTenant, {}, 1, {})->runs[0].progress().step(), 149U);
  EXPECT_EQ(Get("r").last_sequence(), 3U);
  Reopen();
  EXPECT_EQ(Get("r").progress().step(), 101U);
}

TEST_P(TrainingStoreConformance, AChangeOfStateStoresTheNewestProgress) {
  Create("r");
  const TrainingLease lease = Acquire("r").lease;
  const absl::Time now = Now();
  for (uint32_t step = 1; step <= 3; ++step)
    ASSERT_TRUE(store_->SetProgress(lease, Progress(step), now).ok());
  ASSERT_TRUE(store_->FailRun(lease, Failed(), Now()).ok());
  EXPECT_EQ(Get("r").progress().step(), 3U);
  const TrainingLease second = Acquire("r").lease;
  EXPECT_EQ(Get("r").progress().step(), 3U);  // until the next attempt tells of its own
  ASSERT_TRUE(store_->SetProgress(second, Progress(1), Now()).ok());
  EXPECT_EQ(Get("r").progress().step(), 1U);
  ASSERT_TRUE(store_->SetProgress(second, Progress(2), now_).ok());
  ASSERT_TRUE(store_->CancelRun("r", Now()).ok());
  Reopen();
  EXPECT_EQ(Get("r").progress().step(), 2U);
}

TEST_P(TrainingStoreConformance, LorasAreListedByNameFoundAndDeleted) {
  for (const char* name : {"wash", "Ink", "ink", "a-b"}) {
    Create(MakeRun(absl::StrCat("run-", name), name));
    MakeOne(absl::StrCat("run-", name));
  }
  const auto names = [](const std::vector<v1::Lora>& loras) {
    std::vector<std::string> names;
    for (const v1::Lora& lora : loras) names.push_back(lora.name());
    return names;
  };
  EXPECT_THAT(names(store_->ListLoras(10, "")->loras),
              ElementsAre("loras/Ink", "loras/a-b", "loras/ink", "loras/wash"));
  const auto first = store_->ListLoras(3, "");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->next, "ink");
  const auto second = store_->ListLoras(3, *first->next);
  EXPECT_THAT(names(second->loras), ElementsAre("loras/wash"));
  EXPECT_FALSE(second->next.has_value());
  EXPECT_THAT(names(*store_->FindLoras({"wash", "none", "ink"})), ElementsAre("loras/wash", "loras/ink"));
  EXPECT_THAT(*store_->FindLoras({}), IsEmpty());

  const auto file = store_->DeleteLora("ink");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->key, "run-ink/lora.e1");
  EXPECT_EQ(store_->DeleteLora("ink").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->GetLora("ink").status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*store_->FindLoras({"ink"}), IsEmpty());
  EXPECT_EQ(Get("run-ink").lora(), "");
  EXPECT_EQ(Get("run-ink").state(), v1::TRAINING_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace svi::server
