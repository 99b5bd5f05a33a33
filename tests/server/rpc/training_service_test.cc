// TrainingService over a real socket: runs, watches, LoRAs and their downloads.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/sha256.h"
#include "tests/server/rpc/service_fixture.h"

namespace svi::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class TrainingServiceTest : public ServiceTest {
 protected:
  static v1::CreateTrainingRunRequest RunRequest(const std::string& lora_name = "") {
    v1::CreateTrainingRunRequest request;
    request.mutable_spec()->set_dataset("scenes");
    request.mutable_spec()->set_max_steps(100);
    request.mutable_spec()->set_lora_name(lora_name);
    return request;
  }

  // Calls a unary method; the status is in *status if that is given, else it must be OK.
  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::TrainingService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                  Response*),
                const Request& request, grpc::Status* status = nullptr) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status result = (training_stub_.get()->*method)(&context, request, &response);
    if (status != nullptr) {
      *status = result;
    } else {
      EXPECT_TRUE(result.ok()) << result.error_message();
    }
    return response;
  }
  using Stub = v1::TrainingService::Stub;

  v1::TrainingRun CreateRun(const std::string& lora_name = "") {
    return Call(&Stub::CreateTrainingRun, RunRequest(lora_name));
  }
  v1::TrainingRun GetRun(const std::string& name, grpc::Status* status = nullptr) {
    v1::GetTrainingRunRequest request;
    request.set_name(name);
    return Call(&Stub::GetTrainingRun, request, status);
  }
  static std::string RunId(const std::string& name) { return name.substr(sizeof("trainingRuns/") - 1); }

  // Plays the trainer: leases the run, stores its LoRA, commits, and wakes the watchers.
  void Train(const std::string& name, const std::string& lora) {
    const std::string id = RunId(name);
    const auto leased = training_store_->AcquireRun(id, "workers/t1", absl::Now());
    ASSERT_TRUE(leased.ok()) << leased.status();
    FinishedRun finished;
    finished.rank = 16;
    finished.progress.set_step(100);
    const auto file = artifacts_->Put(id + "/lora", lora);
    ASSERT_TRUE(file.ok()) << file.status();
    finished.lora = *file;
    const auto run = training_store_->CommitRun(leased->lease, finished, absl::Now());
    ASSERT_TRUE(run.ok()) << run.status();
    training_hub_->Changed(id);
  }

  std::unique_ptr<grpc::ClientReader<v1::TrainingEvent>> OpenWatch(grpc::ClientContext* context,
                                                                   const std::string& name,
                                                                   uint64_t after = 0,
                                                                   bool durable_only = false) {
    v1::WatchTrainingRunRequest request;
    request.set_name(name);
    request.set_after_sequence(after);
    request.set_durable_only(durable_only);
    return training_stub_->WatchTrainingRun(context, request);
  }

  // A LoRA's bytes from `offset` on; checks each message.
  grpc::Status Download(const std::string& name, uint64_t offset, std::string* bytes, std::string* sha256) {
    grpc::ClientContext context;
    v1::DownloadLoraRequest request;
    request.set_name(name);
    request.set_offset(offset);
    auto reader = training_stub_->DownloadLora(&context, request);
    v1::DownloadLoraResponse response;
    bytes->clear();
    for (bool first = true; reader->Read(&response); first = false) {
      EXPECT_EQ(response.offset(), offset + bytes->size());
      EXPECT_LE(response.data().size(), size_t{1} << 20);
      EXPECT_EQ(response.total_bytes() > 0, first);
      *bytes += response.data();
      *sha256 = response.sha256();
    }
    return reader->Finish();
  }
};

TEST_F(TrainingServiceTest, CreatesAndGets) {
  const v1::TrainingRun run = CreateRun("ink");
  EXPECT_THAT(run.name(), ::testing::StartsWith("trainingRuns/"));
  EXPECT_EQ(run.state(), v1::TRAINING_STATE_QUEUED);
  EXPECT_EQ(run.spec().lora_name(), "ink");
  EXPECT_FALSE(run.spec().has_batch_size());  // as it was asked for
  EXPECT_EQ(GetRun(run.name()).SerializeAsString(), run.SerializeAsString());
  EXPECT_EQ(runs_changed_, 1);
  grpc::Status status;
  GetRun("trainingRuns/none", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "NOT_FOUND");
  GetRun("videos/none", &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("name: must be `trainingRuns/{id}`")));
}

TEST_F(TrainingServiceTest, EveryBadFieldIsNamed) {
  v1::CreateTrainingRunRequest request = RunRequest("a/b");
  request.mutable_spec()->set_batch_size(0);
  request.mutable_spec()->mutable_error_recycling()->set_y_prob(2);
  request.set_request_id("no spaces");
  grpc::Status status;
  Call(&Stub::CreateTrainingRun, request, &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("request_id: "), HasSubstr("spec.lora_name: "),
                                              HasSubstr("spec.batch_size: must be 1..1024, is 0"),
                                              HasSubstr("spec.error_recycling.y_prob: must be 0..1, is 2")));
  Call(&Stub::CreateTrainingRun, v1::CreateTrainingRunRequest(), &status);
  EXPECT_THAT(Violations(status), ElementsAre("spec: is required"));
  request = RunRequest();
  std::string bytes = request.SerializeAsString();
  bytes[bytes.find("scenes")] = '\xFF';
  EXPECT_THAT(Violations(CallRaw("TrainingService/CreateTrainingRun", bytes)),
              ElementsAre("spec.dataset: must be valid UTF-8"));
}

TEST_F(TrainingServiceTest, AReplayMakesNoSecondRun) {
  v1::CreateTrainingRunRequest request = RunRequest("ink");
  request.set_request_id("key");
  const v1::TrainingRun first = Call(&Stub::CreateTrainingRun, request);
  EXPECT_EQ(Call(&Stub::CreateTrainingRun, request).name(), first.name());
  EXPECT_EQ(runs_changed_, 1);
  request.mutable_spec()->set_max_steps(7);
  grpc::Status status;
  Call(&Stub::CreateTrainingRun, request, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(status), "REQUEST_ID_REUSED");
}

TEST_F(TrainingServiceTest, ANameIsTakenOnce) {
  const v1::TrainingRun run = CreateRun("ink");
  grpc::Status status;
  Call(&Stub::CreateTrainingRun, RunRequest("ink"), &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(status), "LORA_NAME_TAKEN");
  EXPECT_THAT(status.error_message(), HasSubstr("ink"));
}

TEST_F(TrainingServiceTest, ListsPageAndFilter) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) names.insert(names.begin(), CreateRun().name());
  v1::CancelTrainingRunRequest cancel;
  cancel.set_name(names[1]);
  EXPECT_EQ(Call(&Stub::CancelTrainingRun, cancel).state(), v1::TRAINING_STATE_CANCELLED);
  v1::ListTrainingRunsRequest request;
  request.set_page_size(2);
  std::vector<std::string> seen;
  do {
    const auto page = Call(&Stub::ListTrainingRuns, request);
    EXPECT_LE(page.training_runs_size(), 2);
    for (const auto& run : page.training_runs()) seen.push_back(run.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, names);

  request.add_states(v1::TRAINING_STATE_CANCELLED);
  const auto cancelled = Call(&Stub::ListTrainingRuns, request);
  ASSERT_EQ(cancelled.training_runs_size(), 1);
  EXPECT_EQ(cancelled.training_runs(0).name(), names[1]);

  // A token of another filter, of videos, and what cannot be.
  request.clear_states();
  const std::string token = Call(&Stub::ListTrainingRuns, request).next_page_token();
  request.set_page_token(token);
  request.add_states(v1::TRAINING_STATE_QUEUED);
  grpc::Status status;
  Call(&Stub::ListTrainingRuns, request, &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("page_token")));
  grpc::ClientContext context;
  v1::ListVideosRequest videos;
  videos.set_page_token(token);
  v1::ListVideosResponse answer;
  EXPECT_EQ(stub_->ListVideos(&context, videos, &answer).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.Clear();
  request.set_page_size(-1);
  request.add_states(v1::TRAINING_STATE_UNSPECIFIED);
  Call(&Stub::ListTrainingRuns, request, &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("page_size"), HasSubstr("states[0]")));
}

TEST_F(TrainingServiceTest, CancellingTellsTheDispatcherAndIsIdempotent) {
  const v1::TrainingRun run = CreateRun();
  v1::CancelTrainingRunRequest request;
  request.set_name(run.name());
  const v1::TrainingRun cancelled = Call(&Stub::CancelTrainingRun, request);
  EXPECT_TRUE(cancelled.has_end_time());
  EXPECT_THAT(runs_ended_, ElementsAre(RunId(run.name())));
  EXPECT_EQ(Call(&Stub::CancelTrainingRun, request).SerializeAsString(), cancelled.SerializeAsString());
}

TEST_F(TrainingServiceTest, AWatchSendsEveryDurableEventAndEndsWithTheRun) {
  const v1::TrainingRun run = CreateRun("ink");
  grpc::ClientContext context;
  auto reader = OpenWatch(&context, run.name());
  v1::TrainingEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.state_changed().state(), v1::TRAINING_STATE_QUEUED);
  Train(run.name(), "lora");
  std::vector<v1::TrainingEvent::EventCase> kinds;
  uint64_t sequence = 1;
  while (reader->Read(&event)) {
    EXPECT_EQ(event.sequence(), ++sequence);
    kinds.push_back(event.event_case());
    if (event.has_published()) {
      EXPECT_EQ(event.published().name(), "loras/ink");
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(kinds, ElementsAre(v1::TrainingEvent::kStateChanged, v1::TrainingEvent::kStarted,
                                 v1::TrainingEvent::kPublished, v1::TrainingEvent::kStateChanged));
  EXPECT_EQ(event.state_changed().state(), v1::TRAINING_STATE_SUCCEEDED);

  grpc::ClientContext resumed_context;
  auto resumed = OpenWatch(&resumed_context, run.name(), 3);
  ASSERT_TRUE(resumed->Read(&event));
  EXPECT_EQ(event.sequence(), 4U);
  EXPECT_TRUE(resumed->Read(&event));
  EXPECT_FALSE(resumed->Read(&event));
  EXPECT_TRUE(resumed->Finish().ok());
  grpc::ClientContext beyond;
  const auto status = OpenWatch(&beyond, run.name(), 6)->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(status), "SEQUENCE_OUT_OF_RANGE");
}

TEST_F(TrainingServiceTest, ProgressIsTransientBoundedAndCanBeLeftOut) {
  const v1::TrainingRun run = CreateRun();
  grpc::ClientContext context;
  grpc::ClientContext durable_context;
  auto reader = OpenWatch(&context, run.name());
  auto durable = OpenWatch(&durable_context, run.name(), 0, /*durable_only=*/true);
  v1::TrainingEvent event;
  ASSERT_TRUE(reader->Read(&event));
  ASSERT_TRUE(durable->Read(&event));
  v1::TrainingProgress progress;
  progress.set_step(3);
  training_hub_->PublishProgress(RunId(run.name()), progress);
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.sequence(), 0U);
  EXPECT_EQ(event.progress().step(), 3U);
  // Nobody reads now: what does not fit is dropped, oldest first, and no durable event is.
  progress.set_phase(std::string(64 << 10, 'p'));
  constexpr uint32_t kPublished = 2000;
  for (uint32_t step = 4; step < kPublished; ++step) {
    progress.set_step(step);
    training_hub_->PublishProgress(RunId(run.name()), progress);
  }
  Train(run.name(), "lora");
  uint32_t seen = 0;
  uint64_t sequence = 1;
  while (reader->Read(&event)) {
    if (event.has_progress()) {
      ++seen;
    } else {
      EXPECT_EQ(event.sequence(), ++sequence);
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(sequence, GetRun(run.name()).last_sequence());
  EXPECT_LT(seen, kPublished - 4);
  EXPECT_THAT(metrics_->Text(), Not(HasSubstr("svi_events_dropped_total 0\n")));
  while (durable->Read(&event)) EXPECT_FALSE(event.has_progress());
  EXPECT_TRUE(durable->Finish().ok());
}

TEST_F(TrainingServiceTest, AServerStopTellsWhereToResume) {
  const v1::TrainingRun run = CreateRun();
  grpc::ClientContext context;
  auto reader = OpenWatch(&context, run.name());
  v1::TrainingEvent event;
  ASSERT_TRUE(reader->Read(&event));
  training_->StopWatches();
  EXPECT_FALSE(reader->Read(&event));
  const auto status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("after_sequence = 1"));
}

TEST_F(TrainingServiceTest, LorasAreListedGotAndDeleted) {
  for (const char* name : {"wash", "Ink", "b"}) Train(CreateRun(name).name(), name);
  v1::ListLorasRequest list;
  list.set_page_size(2);
  auto page = Call(&Stub::ListLoras, list);
  ASSERT_THAT(page.loras(), SizeIs(2));
  EXPECT_EQ(page.loras(0).name(), "loras/Ink");
  EXPECT_EQ(page.loras(1).name(), "loras/b");
  list.set_page_token(page.next_page_token());
  page = Call(&Stub::ListLoras, list);
  ASSERT_THAT(page.loras(), SizeIs(1));
  EXPECT_EQ(page.loras(0).name(), "loras/wash");
  EXPECT_EQ(page.next_page_token(), "");
  list.set_page_token("nonsense");
  grpc::Status status;
  Call(&Stub::ListLoras, list, &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("page_token")));

  v1::GetLoraRequest get;
  get.set_name("loras/Ink");
  const v1::Lora lora = Call(&Stub::GetLora, get);
  EXPECT_EQ(lora.sha256(), Sha256::Of("Ink"));
  EXPECT_EQ(lora.rank(), 16U);
  EXPECT_EQ(lora.variant(), v1::VARIANT_PRO);
  EXPECT_EQ(GetRun(lora.training_run()).lora(), "loras/Ink");
  v1::DeleteLoraRequest remove;
  remove.set_name("loras/Ink");
  const auto file = training_store_->GetLora("Ink")->file;
  Call(&Stub::DeleteLora, remove);
  EXPECT_EQ(artifacts_->ReadAt(file, 0, 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(GetRun(lora.training_run()).lora(), "");
  Call(&Stub::GetLora, get, &status);
  EXPECT_EQ(Reason(status), "NOT_FOUND");
  Call(&Stub::DeleteLora, remove, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  get.set_name("loras/a/b");
  Call(&Stub::GetLora, get, &status);
  EXPECT_THAT(Violations(status), ElementsAre(HasSubstr("name: must be `loras/{id}`")));
}

TEST_F(TrainingServiceTest, ADownloadCanStartAnywhereAndEndsWithTheHash) {
  std::string lora(size_t{5} << 19, '\0');
  for (size_t i = 0; i < lora.size(); ++i) lora[i] = static_cast<char>(i * 7 + i / 251);
  Train(CreateRun("ink").name(), lora);
  std::string bytes;
  std::string sha256;
  for (const uint64_t offset : {size_t{0}, size_t{12345}, size_t{1} << 20, lora.size()}) {
    ASSERT_TRUE(Download("loras/ink", offset, &bytes, &sha256).ok()) << offset;
    EXPECT_EQ(bytes, lora.substr(offset)) << offset;
    EXPECT_EQ(sha256, Sha256::Of(lora)) << offset;
  }
  EXPECT_THAT(metrics_->Text(), HasSubstr("svi_bytes_served_total{kind=\"lora\"} "));
  grpc::Status status = Download("loras/ink", lora.size() + 1, &bytes, &sha256);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(status), "OFFSET_OUT_OF_RANGE");
  status = Download("loras/none", 0, &bytes, &sha256);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  status = Download("none", 0, &bytes, &sha256);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TrainingServiceTest, ItsCallsAreCounted) {
  CreateRun();
  EXPECT_THAT(metrics_->Text(),
              HasSubstr("grpc_server_started_total{grpc_method=\"CreateTrainingRun\","
                        "grpc_service=\"svi.v1.TrainingService\",grpc_type=\"unary\"} 1\n"));
}

}  // namespace
}  // namespace svi::server
