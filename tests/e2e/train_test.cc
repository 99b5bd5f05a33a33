// svi-worker train as real processes, alone and under mpirun, on videos that are really encoded.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/training_videos.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;

class TrainTest : public testing::Test {
 protected:
  TrainTest() {
    WriteTrainingVideos(dir_ / "data", 5);
    // A root shell on one machine is what mpirun warns of by default.
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  ~TrainTest() override { fs::remove_all(dir_); }

  // `more`: fields of the specification, in place of the defaults here.
  std::string Config(const std::string& name, const std::string& more) const {
    const fs::path path = dir_ / (name + ".textproto");
    std::ofstream out(path);
    out << "dataset: \"" << (dir_ / "data").string() << "\"\n"
        << "width: 64 height: 64 num_frames: 17 learning_rate: 1e-3 lora_rank: 4 seed: 5\n"
        << more << "\n";
    for (const char* field :
         {"max_steps: 6", "checkpoint_every: 2", "error_recycling { clean_buffer_update_prob: 1 }"}) {
      const std::string field_name(field, std::string(field).find_first_of(" :"));
      if (more.find(field_name) == std::string::npos) out << field << "\n";
    }
    return path.string();
  }
  std::vector<std::string> Command(const std::string& config, const std::string& work) const {
    return {BinaryPath("svi-worker"),
            "train",
            absl::StrCat("--config=", config),
            absl::StrCat("--model=", Cluster::ModelDir()),
            absl::StrCat("--train-dir=", (dir_ / work).string()),
            "--threads=1",
            "--device=cpu"};
  }
  static std::vector<std::string> TwoRanks(const std::vector<std::string>& command) {
    std::vector<std::string> all = {"/usr/bin/mpirun", "-n", "2", "--oversubscribe"};
    all.insert(all.end(), command.begin(), command.end());
    return all;
  }
  fs::path Run(const std::string& work, const std::string& name) const { return dir_ / work / "runs" / name; }

  const fs::path dir_ = fs::path(testing::TempDir()) / absl::StrCat("svi_train_", getpid());
};

TEST_F(TrainTest, ALoraIsTrainedPutIntoTheFolderAndUsed) {
  std::vector<std::string> command = Command(Config("boat", ""), "work");
  command.push_back(absl::StrCat("--lora-dir=", (dir_ / "loras").string()));
  Process train(command);
  train.WaitForText("step 6 of 6");
  EXPECT_EQ(train.Wait(), 0) << train.output();
  EXPECT_TRUE(fs::exists(Run("work", "boat") / "lora.safetensors"));
  ASSERT_TRUE(fs::exists(dir_ / "loras" / "boat.safetensors"));

  Process generate(
      {BinaryPath("svi-worker"), "generate", DemoPicture(), absl::StrCat("--model=", Cluster::ModelDir()),
       absl::StrCat("--lora-dir=", (dir_ / "loras").string()), "--lora=boat", "--prompt=a boat", "--width=64",
       "--height=64", "--frames=5", "--steps=1", absl::StrCat("--out=", (dir_ / "out").string())});
  EXPECT_EQ(generate.Wait(), 0) << generate.output();
  EXPECT_TRUE(fs::exists(dir_ / "out" / "clip-00000.mp4"));
}

TEST_F(TrainTest, ARunThatIsKilledAndContinuedEqualsAnUndisturbedOne) {
  const std::string config = Config("run", "gradient_accumulation_steps: 2 batch_size: 2");
  Process whole(Command(config, "whole"));
  EXPECT_EQ(whole.Wait(), 0) << whole.output();

  Process killed(Command(config, "parts"));
  killed.WaitForText("checkpoint of step 2");
  killed.Signal(SIGKILL);
  EXPECT_EQ(killed.Wait(), 128 + SIGKILL);
  ASSERT_FALSE(fs::exists(Run("parts", "run") / "lora.safetensors"))
      << "it was killed too late to prove anything";
  Process again(Command(config, "parts"));
  again.WaitForText("continuing from the checkpoint of step");
  EXPECT_EQ(again.Wait(), 0) << again.output();
  EXPECT_EQ(ReadFile((Run("parts", "run") / "lora.safetensors").string()),
            ReadFile((Run("whole", "run") / "lora.safetensors").string()));
}

TEST_F(TrainTest, SigtermLeavesACheckpoint) {
  const std::string config = Config("run", "max_steps: 100000 checkpoint_every: 100000");
  Process train(Command(config, "work"));
  train.WaitForText("step 3 of 100000");
  train.Signal(SIGTERM);
  EXPECT_EQ(train.Wait(), 1);
  EXPECT_NE(train.output().find("the run was stopped"), std::string::npos) << train.output();
  bool found = false;
  for (const auto& entry : fs::directory_iterator(Run("work", "run") / "checkpoints")) {
    found |= entry.path().filename().string().starts_with("step-");
  }
  EXPECT_TRUE(found);
}

TEST_F(TrainTest, VideosThatCannotBeUsedAreNamed) {
  std::ofstream(dir_ / "data" / "squares" / "damaged.mp4") << "no video";
  std::ofstream(dir_ / "data" / "squares" / "squares.csv", std::ios::app)
      << "damaged.mp4,a square\nmissing.mp4,a square\n";
  Process train(Command(Config("run", ""), "work"));
  EXPECT_EQ(train.Wait(), 0) << train.output();
  EXPECT_NE(train.output().find("skipped squares/damaged.mp4"), std::string::npos) << train.output();
  EXPECT_NE(train.output().find("missing.mp4"), std::string::npos) << train.output();
  EXPECT_NE(train.output().find("data set: 5 videos"), std::string::npos) << train.output();
}

TEST_F(TrainTest, WhatIsWrongWithTheConfigurationIsSaid) {
  Process bad(Command(Config("bad", "batch_size: 5000 error_recycling { y_prob: 2 }"), "work"));
  EXPECT_EQ(bad.Wait(), 2);
  EXPECT_NE(bad.output().find("batch_size"), std::string::npos) << bad.output();
  EXPECT_NE(bad.output().find("error_recycling.y_prob"), std::string::npos) << bad.output();

  Process unknown(Command(Config("unknown", "no_such_field: 1"), "work"));
  EXPECT_EQ(unknown.Wait(), 2);
  EXPECT_NE(unknown.output().find("no_such_field"), std::string::npos) << unknown.output();
}

// The first moment after one step is a tenth of the gradient, so the checkpoint tells the gradients.
TEST_F(TrainTest, TwoRanksWithHalfTheBatchHaveTheOneRanksGradients) {
  const std::string common =
      "max_steps: 1 checkpoint_every: 1 max_grad_norm: 0 error_recycling { clean_prob: 1 } ";
  Process one(Command(Config("one", common + "batch_size: 4"), "work"));
  EXPECT_EQ(one.Wait(), 0) << one.output();
  Process two(TwoRanks(Command(Config("two", common + "batch_size: 2"), "work")));
  EXPECT_EQ(two.Wait(), 0) << two.output();

  const fs::path shared = fs::path("checkpoints") / "step-00000001" / "shared.safetensors";
  const auto expected = engine::ReadSafetensors((Run("work", "one") / shared).string()).tensors;
  const auto got = engine::ReadSafetensors((Run("work", "two") / shared).string()).tensors;
  int compared = 0;
  for (const auto& [name, tensor] : expected) {
    if (name.find("exp_avg.") == std::string::npos) continue;
    ++compared;
    const double largest = tensor.abs().max().item<double>();
    EXPECT_LE((tensor - got.at(name)).abs().max().item<double>(), 1e-5 * std::max(largest, 1e-3)) << name;
  }
  EXPECT_EQ(compared, 40);
}

TEST_F(TrainTest, ARankThatDiesEndsTheRunWhichCanBeContinued) {
  const std::string config = Config("run", "max_steps: 40");
  const std::string work = "work";
  Process train(TwoRanks(Command(config, work)));
  train.WaitForText("checkpoint of step 4");
  // The ranks are mpirun's children.
  std::vector<pid_t> ranks;
  std::ifstream children(absl::StrCat("/proc/", train.pid(), "/task/", train.pid(), "/children"));
  for (pid_t pid; children >> pid;) ranks.push_back(pid);
  ASSERT_EQ(ranks.size(), 2u);
  kill(ranks.back(), SIGKILL);
  EXPECT_NE(train.Wait(), 0);
  EXPECT_NE(train.output().find("signal 9"), std::string::npos) << train.output();

  Process again(TwoRanks(Command(config, work)));
  again.WaitForText("continuing from the checkpoint of step");
  EXPECT_EQ(again.Wait(), 0) << again.output();

  // As many ranks as before, or nothing.
  fs::remove(Run(work, "run") / "lora.safetensors");
  Process alone(Command(config, work));
  EXPECT_EQ(alone.Wait(), 1);
  EXPECT_NE(alone.output().find("2 ranks"), std::string::npos) << alone.output();
}

}  // namespace
}  // namespace svi::e2e
