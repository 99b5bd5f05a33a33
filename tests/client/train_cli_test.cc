// svi train … and svi lora …: the real binary against a scripted server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/client/cli_fixture.h"

namespace svi::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

namespace fs = std::filesystem;

using TrainCliTest = CliFixture;

TEST_F(TrainCliTest, CreateWatchesTheRunAndSaysSoInPlainLines) {
  EXPECT_EQ(Run({"train", "create", "boats", "--max-steps=2"}), 0) << err_;
  EXPECT_EQ(err_, "");
  EXPECT_THAT(out_, HasSubstr("created trainingRuns/r\nqueued\nstarted on workers/w\nrunning\n"
                              "encoding 1 of 2 videos\nstep 1/2: loss 0.5, learning rate 0.0001"));
  EXPECT_THAT(out_, HasSubstr("bank 20 latent, 0 noise\npublished loras/boats (3.5 kB)\n"));
  EXPECT_THAT(out_, HasSubstr("trainingRuns/r succeeded: 2 of 2 steps, loras/boats\n"));
  EXPECT_THAT(out_, Not(HasSubstr("encoding 2 of 2"))) << "one line a phase is enough for a log";
  EXPECT_THAT(out_, Not(HasSubstr("\r"))) << "no bar in a pipe";
}

TEST_F(TrainCliTest, EveryLineOfJsonParses) {
  ASSERT_EQ(Run({"train", "create", "boats", "--max-steps=2", "--json"}), 0) << err_;
  std::istringstream lines(out_);
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json json = nlohmann::json::parse(line);
    ASSERT_EQ(json.size(), 1u) << line;
    keys.push_back(json.begin().key());
  }
  ASSERT_THAT(keys, SizeIs(11));  // nine events
  EXPECT_EQ(keys.front(), "created");
  EXPECT_EQ(keys[1], "event");
  EXPECT_EQ(keys.back(), "ended");
}

TEST_F(TrainCliTest, BrokenConnectionsAreResumedAndNoSecondRunIsMade) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
    training_.watch_faults = {2, 3};
  }
  EXPECT_EQ(Run({"train", "create", "boats", "--max-steps=2"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("trying again"));
  absl::MutexLock lock(&training_.mutex_);
  ASSERT_THAT(training_.created, SizeIs(2));
  EXPECT_NE(training_.created[0].request_id(), "");
  EXPECT_EQ(training_.created[0].request_id(), training_.created[1].request_id());
  EXPECT_THAT(training_.watched_after, ElementsAre(0, 2, 3));
}

TEST_F(TrainCliTest, WhatIsNotGivenIsNotSet) {
  ASSERT_EQ(Run({"train", "create", "boats", "--max-steps=5", "--request-id=id", "--detach"}), 0) << err_;
  EXPECT_EQ(out_, "created trainingRuns/r\n");
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_EQ(training_.created[0].ShortDebugString(),
            "spec { dataset: \"boats\" max_steps: 5 } request_id: \"id\"");
}

TEST_F(TrainCliTest, FlagsGoBeforeTheFile) {
  std::ofstream(dir_ / "run.textproto") << "dataset: 'cats' max_steps: 9 seed: 3 lora_targets: ['q', 'k']\n"
                                           "error_recycling { y_prob: 0.5 use_last_y_error: true }";
  const std::string config = "--config=" + (dir_ / "run.textproto").string();
  ASSERT_EQ(Run({"train", "create", config, "--detach"}), 0) << err_;
  ASSERT_EQ(Run({"train", "create", "boats", config, "--seed=4", "--lora-targets=v,o", "--nouse-last-y-error",
                 "--clean-prob=1", "--variant=shot", "--detach"}),
            0)
      << err_;
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_EQ(training_.created[0].spec().ShortDebugString(),
            "dataset: \"cats\" max_steps: 9 seed: 3 lora_targets: \"q\" lora_targets: \"k\" "
            "error_recycling { y_prob: 0.5 use_last_y_error: true }");
  EXPECT_EQ(training_.created[1].spec().ShortDebugString(),
            "dataset: \"boats\" variant: VARIANT_SHOT max_steps: 9 seed: 4 lora_targets: \"v\" "
            "lora_targets: \"o\" error_recycling { y_prob: 0.5 clean_prob: 1 }");
}

TEST_F(TrainCliTest, WrongUsageExitsWithTwoAndNamesTheMistake) {
  std::ofstream(dir_ / "bad.textproto") << "max_steps: 3\nmax_stepz: 4\n";
  const std::string bad = (dir_ / "bad.textproto").string();
  const struct {
    std::vector<std::string> args;
    std::string says;
  } kCases[] = {
      {{"train"}, "svi train create|watch|get|list|cancel"},
      {{"train", "boats", "--max-steps=2"}, "svi train create|watch|get|list|cancel"},
      {{"lora", "fetch"}, "svi lora list|get|download|delete"},
      {{"train", "create", "--max-steps=2"}, "want a DATASET"},
      {{"train", "create", "a", "b"}, "unexpected argument 'b'"},
      {{"train", "create", "a", "--max-step=2"}, "did you mean --max-steps?"},
      {{"train", "create", "a", "--max-steps=many"}, "--max-steps=many: want a whole number"},
      {{"train", "create", "a", "--learning-rate=nan"}, "--learning-rate=nan: want a finite number"},
      {{"train", "create", "a", "--objective=best"}, "--objective=best: want lora or full"},
      {{"train", "create", "a", "--learning-rate-schedule=step"}, "want constant, cosine or linear"},
      {{"train", "create", "a", "--buffer-replacement-strategy=x"},
       "want random, fifo, l2-similarity or l2-batch"},
      {{"train", "create", "a", "--lora-name=\xff"}, "--lora-name: is not valid UTF-8"},
      {{"train", "create", "\xff"}, "not valid UTF-8"},
      {{"train", "create", "a", "--config=/no/such"}, "--config: cannot read /no/such"},
      {{"train", "create", "a", "--config=" + bad}, "bad.textproto:2:"},
      {{"train", "list", "--state=waiting"}, "--state=waiting: want queued"},
      {{"train", "watch"}, "an argument is missing"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Run(c.args), 2) << ::testing::PrintToString(c.args);
    EXPECT_THAT(err_, HasSubstr(c.says));
    EXPECT_EQ(out_, "");
  }
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_THAT(training_.created, SizeIs(0));
}

TEST_F(TrainCliTest, HowARunEndsIsTheExitCode) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.end_state = v1::TRAINING_STATE_FAILED;
  }
  EXPECT_EQ(Run({"train", "watch", "r"}), 1);
  EXPECT_THAT(out_, HasSubstr("trainingRuns/r failed: 2 of 2 steps\n  there is no data set \"boats\" "
                              "(DATASET_NOT_FOUND)\n"));
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.end_state = v1::TRAINING_STATE_CANCELLED;
  }
  EXPECT_EQ(Run({"train", "watch", "trainingRuns/r"}), 5);
  EXPECT_EQ(Run({"train", "watch", "nosuch"}), 3);
}

TEST_F(TrainCliTest, CtrlCEndsTheWatchNotTheRun) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.hold_watch = true;
  }
  const pid_t pid = Start({"train", "watch", "r", "--after=1"});
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.mutex_.Await(absl::Condition(&training_.holding));
  }
  ASSERT_EQ(::kill(pid, SIGINT), 0);
  EXPECT_EQ(Wait(pid), 130);
  EXPECT_THAT(err_, HasSubstr("train watch trainingRuns/r"));
  EXPECT_THAT(err_, HasSubstr("train cancel trainingRuns/r"));
  EXPECT_THAT(out_, Not(HasSubstr("queued"))) << "event 1 was not wanted";
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_THAT(training_.cancelled, SizeIs(0));
}

TEST_F(TrainCliTest, GetAndCancelShowTheRun) {
  ASSERT_EQ(Run({"train", "get", "r"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("state     succeeded"));
  EXPECT_THAT(out_, HasSubstr("videos    7 used, 1 skipped"));
  EXPECT_THAT(out_, HasSubstr("LoRA      loras/boats"));
  ASSERT_EQ(Run({"train", "cancel", "r"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("state     cancelled"));
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_THAT(training_.cancelled, ElementsAre("trainingRuns/r"));
}

TEST_F(TrainCliTest, ListFollowsPagesWhenAsked) {
  ASSERT_EQ(Run({"train", "list", "--state=succeeded", "--page-size=1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("trainingRuns/first"));
  EXPECT_THAT(err_, HasSubstr("--page-token=next"));
  {
    absl::MutexLock lock(&training_.mutex_);
    EXPECT_EQ(training_.listed.page_size(), 1);
    EXPECT_THAT(training_.listed.states(), ElementsAre(v1::TRAINING_STATE_SUCCEEDED));
  }
  ASSERT_EQ(Run({"train", "list", "--all", "--json"}), 0);
  std::vector<std::string> names;
  std::istringstream lines(out_);
  for (std::string line; std::getline(lines, line);) names.push_back(nlohmann::json::parse(line)["name"]);
  EXPECT_THAT(names, ElementsAre("trainingRuns/first", "trainingRuns/second"));
}

TEST_F(TrainCliTest, LorasAreListedAndShown) {
  ASSERT_EQ(Run({"lora", "list"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("loras/boats"));
  EXPECT_THAT(out_, HasSubstr("3.5 kB  rank 16   film"));
  ASSERT_EQ(Run({"lora", "get", "boats", "--json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["rank"], 16);
  EXPECT_EQ(Run({"lora", "get", "cats"}), 3);
}

TEST_F(TrainCliTest, ALoraIsDownloadedOnceAndFromWhereItBroke) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.download_faults = {2};
  }
  ASSERT_EQ(Run({"lora", "download", "boats", "--out", dir_.string()}), 0) << err_;
  EXPECT_EQ(Contents(dir_ / "boats.safetensors"), ScriptedTraining::LoraBytes());
  ASSERT_EQ(Run({"lora", "download", "boats", "--out", dir_.string()}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("already there"));
  ASSERT_EQ(Run({"lora", "download", "boats", "--out", (dir_ / "mine.safetensors").string()}), 0) << err_;
  EXPECT_EQ(Contents(dir_ / "mine.safetensors"), ScriptedTraining::LoraBytes());
  absl::MutexLock lock(&training_.mutex_);
  EXPECT_THAT(training_.download_offsets, ElementsAre(0, 2000, 0));
}

TEST_F(TrainCliTest, ADeleteWhoseAnswerIsLostIsDone) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
  }
  EXPECT_EQ(Run({"lora", "delete", "boats"}), 0) << err_;
  EXPECT_EQ(out_, "deleted loras/boats\n");
  EXPECT_EQ(Run({"lora", "delete", "boats"}), 3);
}

TEST_F(TrainCliTest, HelpNamesEveryCommand) {
  ASSERT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("train create"));
  EXPECT_THAT(out_, HasSubstr("lora download"));
  ASSERT_EQ(Run({"train", "create", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("svi train create DATASET"));
  EXPECT_THAT(out_, HasSubstr("--clean-buffer-update-prob=X"));
}

}  // namespace
}  // namespace svi::client
