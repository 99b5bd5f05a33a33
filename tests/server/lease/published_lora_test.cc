// Videos that name a LoRA which the server has published: any worker can make them.
#include <gmock/gmock.h>

#include "client/sha256.h"
#include "tests/server/lease/trainer_fixture.h"

namespace svi::server {
namespace {

class PublishedLoraTest : public TrainerTest {
 protected:
  // No worker of before the start is waited for any more.
  void SetUp() override { clock_.Advance(options_.lease_timeout); }

  // Trains a run with that LoRA.
  void Publish(const std::string& name, const std::string& bytes) {
    MakeRun("run-" + name, name);
    auto trainer = ConnectTrainer();
    trainer->Register("trainer");
    const v1::RunLease lease = trainer->TakeRun().lease();
    trainer->Upload(lease, bytes);
    trainer->ExpectAccepted(lease);
  }
};

TEST_F(PublishedLoraTest, AnyWorkerGetsTheClipAndIsToldWhatToFetch) {
  Publish("ink", "lora");
  // One worker has a file of that name; it is no better than the other, which has waited for longer.
  auto plain = Connect();
  plain->Register("w1");
  clock_.Advance(absl::Seconds(1));
  auto styled = Connect();
  styled->Register("w2", std::nullopt, {"ink"});
  MakeVideo("drawn", 1, 0, 1000, {"ink", "ink"});
  const v1::Assign assign = plain->TakeJob().assign;
  ASSERT_EQ(assign.published_loras_size(), 1);
  EXPECT_EQ(assign.published_loras(0).name(), "loras/ink");
  EXPECT_EQ(assign.published_loras(0).size_bytes(), 4U);
  EXPECT_EQ(assign.published_loras(0).sha256(), Sha256::Of("lora"));
}

TEST_F(PublishedLoraTest, AVideoThatWaitsIsMadeAsSoonAsItsLoraIsPublished) {
  auto styled = Connect();
  styled->Register("w1", std::nullopt, {"ink"});
  styled->Heartbeat(std::nullopt, /*draining=*/true);
  styled->Barrier();
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  auto plain = Connect();
  plain->Register("w2");
  dispatcher_->RunOnce(clock_.Now());
  ASSERT_EQ(Video("drawn").state(), v1::VIDEO_STATE_QUEUED);
  Publish("ink", "lora");  // and nothing else: no pass is asked for
  EXPECT_EQ(plain->TakeJob().assign.published_loras(0).name(), "loras/ink");
}

TEST_F(PublishedLoraTest, WhatIsNotPublishedIsStillNeededOfTheWorker) {
  Publish("ink", "lora");
  auto plain = Connect();
  plain->Register("w1");
  auto styled = Connect();
  styled->Register("w2", std::nullopt, {"wash"});
  MakeVideo("drawn", 1, 0, 1000, {"wash", "ink"});
  const v1::Assign assign = styled->TakeJob().assign;
  ASSERT_EQ(assign.published_loras_size(), 1);
  EXPECT_EQ(assign.published_loras(0).name(), "loras/ink");
}

TEST_F(PublishedLoraTest, ADeletedOneIsNoLongerPublished) {
  Publish("ink", "lora");
  ASSERT_TRUE(training_->DeleteLora("ink").ok());
  MakeVideo("drawn", 1, 0, 1000, {"ink"});
  auto worker = Connect();
  worker->Register("w1");
  const v1::Assign assign = worker->TakeJob().assign;
  EXPECT_EQ(assign.published_loras_size(), 0);
  worker->Fail(assign.lease(), "LORA_NOT_FOUND", /*permanent=*/true, /*handed_back=*/false);
  worker->Barrier();
  EXPECT_EQ(Video("drawn").error().reason(), "LORA_NOT_FOUND");
}

}  // namespace
}  // namespace svi::server
