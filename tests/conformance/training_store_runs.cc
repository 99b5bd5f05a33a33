// Conformance: runs, their names, lists and events.
#include <google/protobuf/util/message_differencer.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/conformance/training_store_conformance.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(TrainingStoreConformance, ANewRunIsQueued) {
  const NewTrainingRun run = MakeRun("r", "ink");
  const v1::TrainingRun created = Create(run);
  EXPECT_EQ(created.name(), "trainingRuns/r");
  EXPECT_EQ(created.state(), v1::TRAINING_STATE_QUEUED);
  EXPECT_TRUE(MessageDifferencer::Equals(created.spec(), run.spec));
  EXPECT_EQ(created.attempt(), 0U);
  EXPECT_EQ(created.lora(), "");
  EXPECT_EQ(created.worker(), "");
  EXPECT_EQ(created.last_sequence(), 1U);
  EXPECT_EQ(created.create_time().seconds(), absl::ToUnixSeconds(now_));
  EXPECT_FALSE(created.has_end_time() || created.has_progress() || created.has_error());
  EXPECT_TRUE(MessageDifferencer::Equals(Get("r"), created));
  EXPECT_THAT(Log("r"), ElementsAre("QUEUED"));
  EXPECT_EQ(store_->GetRun("none").status().code(), StatusCode::kNotFound);
}

TEST_P(TrainingStoreConformance, AReplayGivesTheFirstRun) {
  NewTrainingRun run = MakeRun("first", "ink");
  run.request_id = "key";
  run.request_hash = "h";
  Create(run);
  Acquire("first");
  run.id = "second";
  bool replayed = false;
  bool name_taken = true;
  const auto again = store_->CreateRun(run, Now(), &replayed, &name_taken);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(replayed);
  EXPECT_EQ(again->name(), "trainingRuns/first");
  EXPECT_EQ(again->state(), v1::TRAINING_STATE_RUNNING);
  EXPECT_EQ(store_->GetRun("second").status().code(), StatusCode::kNotFound);
  run.request_hash = "other";
  EXPECT_EQ(TryCreate(run, &name_taken).code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(name_taken);
}

TEST_P(TrainingStoreConformance, EachTenantHasItsOwnRunsAndRequestIds) {
  NewTrainingRun run = MakeRun("first");
  run.tenant = "acme";
  run.request_id = "key";
  run.request_hash = "h";
  EXPECT_EQ(Create(run).tenant(), "acme");
  run.id = "second";
  run.tenant = "other";
  run.request_hash = "another request";
  Create(run);
  EXPECT_EQ(store_->TenantOf("first").value(), "acme");
  EXPECT_EQ(store_->TenantOf("none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Get("second").tenant(), "other");
  for (const auto& states : {std::vector<v1::TrainingState>{}, {v1::TRAINING_STATE_QUEUED}}) {
    const auto page = store_->ListRuns("acme", states, 10, {});
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->runs.size(), 1U);
    EXPECT_EQ(page->runs[0].name(), "trainingRuns/first");
  }
  const auto queued = store_->ListQueued(10);
  ASSERT_TRUE(queued.ok()) << queued.status();
  ASSERT_EQ(queued->size(), 2U);
  EXPECT_EQ((*queued)[0].tenant, "acme");
  EXPECT_EQ((*queued)[1].tenant, "other");
}

TEST_P(TrainingStoreConformance, ANameIsKeptByActiveRunsAndByLoras) {
  bool taken = false;
  Create(MakeRun("a", "ink"));
  const absl::Status status = TryCreate(MakeRun("b", "ink"), &taken);
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ink"));
  EXPECT_TRUE(taken);
  Acquire("a");
  EXPECT_EQ(TryCreate(MakeRun("b", "ink"), &taken).code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(store_->CancelRun("a", Now()).ok());
  Create(MakeRun("c", "ink"));
  JobStore::FailedAttempt failure = Failed();
  failure.permanent = true;
  ASSERT_TRUE(store_->FailRun(Acquire("c").lease, failure, Now()).ok());
  Create(MakeRun("d", "ink"));
  MakeOne("d");
  EXPECT_EQ(TryCreate(MakeRun("e", "ink"), &taken).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(taken);
  ASSERT_TRUE(store_->DeleteLora("ink").ok());
  Create(MakeRun("e", "ink"));
}

TEST_P(TrainingStoreConformance, WithoutANameItIsTheIdAndThatIsKeptToo) {
  Create("a");
  bool taken = false;
  EXPECT_EQ(TryCreate(MakeRun("b", "a"), &taken).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(MakeOne("a").lora(), "loras/a");
}

TEST_P(TrainingStoreConformance, RunsWithoutALoraTakeNoName) {
  for (const char* id : {"a", "b"}) {
    NewTrainingRun run = MakeRun(id, "ink");
    run.spec.set_objective(v1::OBJECTIVE_FULL);
    Create(run);
  }
  Create(MakeRun("c", "ink"));
}

TEST_P(TrainingStoreConformance, CancellingEndsARunOnce) {
  Create("queued");
  EXPECT_EQ(store_->CancelRun("queued", Now())->state(), v1::TRAINING_STATE_CANCELLED);
  EXPECT_THAT(QueuedIds(), IsEmpty());
  Create("running");
  const TrainingLease lease = Acquire("running").lease;
  const auto cancelled = store_->CancelRun("running", Now());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_TRUE(cancelled->has_end_time());
  EXPECT_EQ(store_->CheckRun(lease).code(), StatusCode::kAborted);
  const auto again = store_->CancelRun("running", Now());
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(MessageDifferencer::Equals(*again, *cancelled));
  EXPECT_THAT(Log("running"), ElementsAre("QUEUED", "RUNNING", "started", "CANCELLED"));
  Create("done");
  const v1::TrainingRun done = MakeOne("done");
  EXPECT_TRUE(MessageDifferencer::Equals(*store_->CancelRun("done", Now()), done));
  EXPECT_EQ(store_->CancelRun("none", Now()).status().code(), StatusCode::kNotFound);
}

TEST_P(TrainingStoreConformance, ListsPageNewestFirstAndByState) {
  for (int i = 0; i < 7; ++i) Create(absl::StrCat("r", i));
  for (const char* id : {"r1", "r4"}) ASSERT_TRUE(store_->CancelRun(id, Now()).ok());
  Acquire("r2");
  const auto walk = [&](const std::vector<v1::TrainingState>& states, int limit) {
    std::vector<std::string> ids;
    std::optional<std::pair<int64_t, std::string>> after;
    do {
      const auto page = store_->ListRuns(kDefaultTenant, states, limit, after);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->runs.size(), static_cast<size_t>(limit));
      for (const auto& run : page->runs) ids.push_back(run.name().substr(sizeof("trainingRuns/") - 1));
      after = page->next;
    } while (after.has_value());
    return ids;
  };
  for (const int limit : {1, 2, 7, 100}) {
    EXPECT_THAT(walk({}, limit), ElementsAre("r6", "r5", "r4", "r3", "r2", "r1", "r0"));
    EXPECT_THAT(walk({v1::TRAINING_STATE_CANCELLED}, limit), ElementsAre("r4", "r1"));
    EXPECT_THAT(walk({v1::TRAINING_STATE_RUNNING, v1::TRAINING_STATE_CANCELLED}, limit),
                ElementsAre("r4", "r2", "r1"));
  }
  EXPECT_EQ(store_->ListRuns(kDefaultTenant, {}, 0, {}).status().code(), StatusCode::kInvalidArgument);
}

TEST_P(TrainingStoreConformance, EventsAreReadInPieces) {
  Create("r");
  MakeOne("r");
  const auto all = Events("r");
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(Events("r", 3).size(), 2U);
  EXPECT_EQ(Events("r", 3).front().sequence(), 4U);
  EXPECT_EQ(store_->ListRunEvents("r", 0, 2)->size(), 2U);
  EXPECT_THAT(Events("r", 5), IsEmpty());
  EXPECT_THAT(Events("r", UINT64_MAX), IsEmpty());
  EXPECT_EQ(store_->ListRunEvents("none", 0, 2).status().code(), StatusCode::kNotFound);
}

TEST_P(TrainingStoreConformance, CountsEveryState) {
  Create("a");
  Create("b");
  Acquire("b");
  Create("c");
  MakeOne("c");
  const auto counts = store_->CountRuns();
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->loras, 1);
  EXPECT_THAT(counts->runs,
              ElementsAre(std::pair(v1::TRAINING_STATE_QUEUED, 1), std::pair(v1::TRAINING_STATE_RUNNING, 1),
                          std::pair(v1::TRAINING_STATE_SUCCEEDED, 1), std::pair(v1::TRAINING_STATE_FAILED, 0),
                          std::pair(v1::TRAINING_STATE_CANCELLED, 0)));
}

TEST_P(TrainingStoreConformance, ReopeningKeepsRunsAndLoras) {
  Create(MakeRun("done", "ink"));
  MakeOne("done");
  Create("held");
  const TrainingLease lease = Acquire("held").lease;
  Create("queued");
  const auto before = Get("done");
  const auto log = Log("held");
  Reopen();
  EXPECT_TRUE(MessageDifferencer::Equals(Get("done"), before));
  EXPECT_EQ(Log("held"), log);
  EXPECT_THAT(QueuedIds(), ElementsAre("queued"));
  EXPECT_TRUE(store_->CheckRun(lease).ok());
  EXPECT_TRUE(store_->GetLora("ink").ok());
}

}  // namespace
}  // namespace svi::server
