// Which worker gets a clip that needs LoRAs.
#include <gmock/gmock.h>

#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LoraTest : public LeaseTest {
 protected:
  // No worker of before the start is waited for any more.
  void SetUp() override { clock_.Advance(options_.lease_timeout); }
  // Runs a pass; what it leaves undone does not happen later by itself, since the clock stands still.
  v1::VideoState StateAfterPass(const std::string& video) {
    dispatcher_->RunOnce(clock_.Now());
    return Video(video).state();
  }
};

TEST_F(LoraTest, ListWorkersTellsOfThem) {
  auto worker = Connect();
  worker->Register("w1", std::nullopt, {"b", "a", "a"});
  ASSERT_EQ(dispatcher_->ListWorkers().size(), 1u);
  EXPECT_THAT(dispatcher_->ListWorkers()[0].loras(), ElementsAre("a", "b"));
  worker->TellLoras({"c"});
  worker->Barrier();
  EXPECT_THAT(dispatcher_->ListWorkers()[0].loras(), ElementsAre("c"));
  worker->Heartbeat();  // tells nothing: all is as before
  worker->Barrier();
  EXPECT_THAT(dispatcher_->ListWorkers()[0].loras(), ElementsAre("c"));
  worker->TellLoras({});
  worker->Barrier();
  EXPECT_THAT(dispatcher_->ListWorkers()[0].loras(), ElementsAre());
}

TEST_F(LoraTest, TheClipGoesToTheWorkerThatHasThem) {
  auto plain = Connect();
  plain->Register("w1");
  auto styled = Connect();
  styled->Register("w2", std::nullopt, {"ink", "wash"});
  MakeVideo("drawn", 1, 0, 1000, {"wash", "ink"});
  const Job job = styled->TakeJob();
  EXPECT_EQ(job.assign.lease().video(), "videos/drawn");
  EXPECT_EQ(job.assign.spec().lora_size(), 2);
}

TEST_F(LoraTest, ItWaitsForThatWorkerAndTheOthersGoOn) {
  auto styled = Connect();
  styled->Register("w2", std::nullopt, {"ink"});
  MakeVideo("busy", 1, 0, 1000, {"ink"});
  const Job job = styled->TakeJob();
  MakeVideo("drawn", 1, 100, 1000, {"ink"});
  auto plain = Connect();
  plain->Register("w1");
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  MakeVideo("plain", 1, -100);
  EXPECT_EQ(plain->TakeJob().assign.lease().video(), "videos/plain");
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  styled->Upload(job.assign.lease(), "clip", "carry");
  styled->ExpectAccepted(job.assign.lease());
  EXPECT_EQ(styled->TakeJob().assign.lease().video(), "videos/drawn");
}

TEST_F(LoraTest, AFileThatArrivesLaterBringsTheClip) {
  auto styled = Connect();
  styled->Register("w1", std::nullopt, {"ink"});
  styled->Heartbeat(std::nullopt, /*draining=*/true);
  styled->Barrier();
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  auto plain = Connect();
  plain->Register("w2");
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  plain->TellLoras({"ink"});
  EXPECT_EQ(plain->TakeJob().assign.lease().video(), "videos/drawn");
}

TEST_F(LoraTest, WhereNobodyHasItAnyWorkerSaysSo) {
  MakeVideo("drawn", 1, 0, 1000, {"nosuch"});
  auto worker = Connect();
  worker->Register("w1", std::nullopt, {"ink"});
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->Fail(lease, "LORA_NOT_FOUND", /*permanent=*/true, /*handed_back=*/false);
  worker->Barrier();
  EXPECT_EQ(Video("drawn").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(Video("drawn").error().reason(), "LORA_NOT_FOUND");
}

// As LoraTest, with other servers on the same store.
class SharedLoraTest : public LoraTest {
 protected:
  SharedLoraTest() {
    StopServer();
    options_.workers_elsewhere = [this] {
      absl::MutexLock lock(&mu_);
      return elsewhere_;
    };
    StartServer();
  }
  void SetElsewhere(const std::vector<std::string>& loras) {
    v1::Worker worker;
    worker.set_name("workers/elsewhere");
    worker.mutable_loras()->Add(loras.begin(), loras.end());
    absl::MutexLock lock(&mu_);
    elsewhere_ = {worker};
  }

  absl::Mutex mu_;
  std::vector<v1::Worker> elsewhere_ ABSL_GUARDED_BY(mu_);
};

TEST_F(SharedLoraTest, WhatAnotherServersWorkerHasIsLeftToIt) {
  SetElsewhere({"ink"});
  auto plain = Connect();
  plain->Register("w1");
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  clock_.Advance(options_.lease_timeout * 3 / 4);
  plain->Heartbeat();
  plain->Barrier();
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  clock_.Advance(options_.lease_timeout * 3 / 4);
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  const auto fleet = dispatcher_->ListFleet();
  ASSERT_EQ(fleet.size(), 2u);
  EXPECT_EQ(fleet[0].name(), "workers/elsewhere");
  EXPECT_EQ(fleet[1].name(), "workers/w1");
}

TEST_F(SharedLoraTest, WhatNobodyHasFailsOnlyAfterTheOthersHadTimeToTell) {
  auto plain = Connect();
  plain->Register("w1");
  MakeVideo("drawn", 1, 0, 1000, {"nosuch"});
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  clock_.Advance(options_.lease_timeout * 3 / 4);
  plain->Heartbeat();
  plain->Barrier();
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  clock_.Advance(options_.lease_timeout / 2);
  plain->Heartbeat();
  EXPECT_EQ(plain->TakeJob().assign.lease().video(), "videos/drawn");
}

TEST_F(LoraTest, AFileThatWentSinceIsLookedForOnAnotherWorker) {
  auto first = Connect();
  first->Register("w1", std::nullopt, {"ink", "wash"});
  MakeVideo("drawn", 1, 0, 1000, {"ink", "wash"});
  const v1::LeaseId lease = first->TakeJob().assign.lease();
  auto second = Connect();
  second->Register("w2", std::nullopt, {"ink", "wash"});
  first->Fail(lease, "LORA_NOT_FOUND", /*permanent=*/true, /*handed_back=*/false);
  const v1::LeaseId again = second->TakeJob().assign.lease();
  EXPECT_EQ(again.video(), "videos/drawn");
  first->Heartbeat(std::nullopt, /*draining=*/true);
  first->Barrier();
  // It went there, too: whoever gets the clip now never said that it has it.
  second->Fail(again, "LORA_NOT_FOUND", /*permanent=*/true, /*handed_back=*/false);
  const v1::LeaseId last = second->TakeJob().assign.lease();
  second->Fail(last, "LORA_NOT_FOUND", /*permanent=*/true, /*handed_back=*/false);
  second->Barrier();
  EXPECT_EQ(Video("drawn").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(Video("drawn").error().reason(), "LORA_NOT_FOUND");
}

TEST_F(LoraTest, AWorkerThatIsCutOffHasItsTimeToComeBack) {
  auto styled = Connect();
  styled->Register("w1", std::nullopt, {"ink"});
  auto plain = Connect();
  plain->Register("w2");
  styled->Vanish();
  AwaitGone("w1");
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  auto back = Connect();
  back->Register("w1", std::nullopt, {"ink"});
  EXPECT_EQ(back->TakeJob().assign.lease().video(), "videos/drawn");
}

TEST_F(LoraTest, AfterARestartTheFirstWorkerBackIsNotGivenWhatTheSecondCanMake) {
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  StopServer();
  StartServer();
  auto plain = Connect();
  plain->Register("w1");
  EXPECT_EQ(StateAfterPass("drawn"), v1::VIDEO_STATE_QUEUED);
  auto styled = Connect();
  styled->Register("w2", std::nullopt, {"ink"});
  EXPECT_EQ(styled->TakeJob().assign.lease().video(), "videos/drawn");
}

TEST_F(LoraTest, MoreWaitingClipsThanOnePassLooksAtHideNoOther) {
  auto styled = Connect();
  styled->Register("w1", std::nullopt, {"ink"});
  MakeVideo("first", 1, 0, 10, {"ink"});
  styled->TakeJob();
  for (int i = 0; i < 300; ++i) MakeVideo("drawn" + std::to_string(i), 1, 50, 10, {"ink"});
  auto plain = Connect();
  plain->Register("w2");
  MakeVideo("plain", 1, -50, 10);
  EXPECT_EQ(plain->TakeJob().assign.lease().video(), "videos/plain");
}

TEST_F(LoraTest, NamesThatCannotBeAreRefused) {
  for (const std::string& name : {std::string(), std::string("../ink"), std::string(129, 'x')}) {
    auto worker = Connect();
    worker->Register("w1");
    worker->TellLoras({"ink", name});
    const grpc::Status status = worker->End();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
    EXPECT_THAT(status.error_message(), HasSubstr("heartbeat.loras"));
  }
}

}  // namespace
}  // namespace svi::server
