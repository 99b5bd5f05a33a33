// What trainers may say.
#include "server/lease/trainer_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace svi::server {
namespace {

using testing::HasSubstr;

v1::TrainingProgress Progress() {
  v1::TrainingProgress progress;
  progress.set_step(5);
  progress.set_max_steps(10);
  return progress;
}

v1::TrainingDone Done() {
  v1::TrainingDone done;
  done.set_lora_bytes(1);
  done.set_lora_sha256(std::string(32, 'h'));
  done.set_rank(1);
  *done.mutable_progress() = Progress();
  return done;
}

TEST(TrainerMessagesTest, LeasesComeBack) {
  const TrainingLease lease = {"0a-b_c", 7};
  const auto parsed = ParseLease(ToLeaseId(lease));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, lease);
  EXPECT_EQ(ToLeaseId(lease).training_run(), "trainingRuns/0a-b_c");
  EXPECT_EQ(ToString(lease), "0a-b_c e7");
  EXPECT_EQ(LoraKey(lease), "0a-b_c/lora.e7.safetensors");
  for (const char* bad : {"", "trainingRuns/", "0a", "videos/0a", "trainingRuns/A", "trainingRuns/../a"}) {
    v1::RunLease id;
    id.set_training_run(bad);
    id.set_epoch(1);
    EXPECT_THAT(std::string(ParseLease(id).status().message()), HasSubstr("lease.training_run")) << bad;
  }
}

TEST(TrainerMessagesTest, RegistrationsAreBounded) {
  v1::TrainerRegister message;
  message.set_worker_id("t1");
  message.set_ranks(65536);
  EXPECT_TRUE(CheckRegister(message).ok());
  message.set_ranks(65537);
  EXPECT_THAT(std::string(CheckRegister(message).message()), HasSubstr("register.ranks"));
  message.set_ranks(1);
  message.set_device(std::string(257, 'd'));
  EXPECT_THAT(std::string(CheckRegister(message).message()), HasSubstr("register.device"));
}

TEST(TrainerMessagesTest, ALossMayDivergeButStepsMayNot) {
  v1::TrainingProgress progress = Progress();
  progress.set_loss(std::nan(""));
  EXPECT_TRUE(CheckProgress(progress).ok());
  progress.set_step(11);
  EXPECT_THAT(std::string(CheckProgress(progress).message()), HasSubstr("progress.step"));
  progress = Progress();
  progress.set_checkpoint_step(11);
  EXPECT_THAT(std::string(CheckProgress(progress).message()), HasSubstr("progress.checkpoint_step"));
  progress = Progress();
  for (int i = 0; i < 1001; ++i) progress.add_noise_bank_grids(1);
  EXPECT_THAT(std::string(CheckProgress(progress).message()), HasSubstr("progress.noise_bank_grids"));
  progress = Progress();
  progress.mutable_eta()->set_seconds(-1);
  EXPECT_THAT(std::string(CheckProgress(progress).message()), HasSubstr("progress.eta"));
}

TEST(TrainerMessagesTest, ALoraNeedsSizeHashAndRank) {
  EXPECT_TRUE(CheckDone(Done(), /*makes_lora=*/true).ok());
  v1::TrainingDone done = Done();
  done.set_lora_bytes(0);
  EXPECT_THAT(std::string(CheckDone(done, true).message()), HasSubstr("done.lora_bytes"));
  done = Done();
  done.set_lora_sha256("short");
  EXPECT_THAT(std::string(CheckDone(done, true).message()), HasSubstr("done.lora_sha256"));
  for (const uint32_t rank : {0U, 1025U}) {
    done = Done();
    done.set_rank(rank);
    EXPECT_THAT(std::string(CheckDone(done, true).message()), HasSubstr("done.rank"));
  }
}

TEST(TrainerMessagesTest, AFullRunHasNone) {
  EXPECT_THAT(std::string(CheckDone(Done(), /*makes_lora=*/false).message()), HasSubstr("done.lora_bytes"));
  v1::TrainingDone done;
  *done.mutable_progress() = Progress();
  EXPECT_TRUE(CheckDone(done, false).ok());
}

}  // namespace
}  // namespace svi::server
