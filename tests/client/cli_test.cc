// The real binary against a scripted server: what it prints, what it saves, what it exits with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
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

class CliTest : public CliFixture {
 protected:
  CliTest() { std::ofstream(dir_ / "cat.jpg") << "not looked at by the client"; }
  std::vector<std::string> Generate() const {
    return {"generate", Picture(), "--prompt=one", "--prompt", "two", "--out", (dir_ / "clips").string()};
  }
  std::string Picture() const { return (dir_ / "cat.jpg").string(); }
  void ExpectAllClips() {
    for (uint32_t i = 0; i < 3; ++i) {
      EXPECT_EQ(Contents(dir_ / "clips" / ("clip-0000" + std::to_string(i) + ".mp4")),
                ScriptedService::ClipBytes(i));
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "clips"), fs::directory_iterator()), 3);
  }
};

TEST_F(CliTest, GenerateSavesEveryClipAndSaysSoInPlainLines) {
  EXPECT_EQ(Run(Generate()), 0) << err_;
  ExpectAllClips();
  EXPECT_EQ(err_, "");
  EXPECT_THAT(out_, HasSubstr("created videos/v\nqueued\nclip 1/3 started"));
  EXPECT_THAT(out_, HasSubstr("clip 2/3 denoise 1/2\n"));
  EXPECT_THAT(out_, HasSubstr("clip-00002.mp4 (3.5 kB)\n"));
  EXPECT_THAT(out_, HasSubstr("videos/v succeeded: 3 of 3 clips\n"));
  EXPECT_THAT(out_, Not(HasSubstr("\r"))) << "no bar in a pipe";
  EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, BrokenConnectionsAreResumedAndNothingIsFetchedTwice) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
    service_.watch_faults = {2, 4};
    service_.download_faults = {1};
  }
  EXPECT_EQ(Run(Generate()), 0) << err_;
  ExpectAllClips();
  EXPECT_THAT(err_, HasSubstr("trying again"));
  absl::MutexLock lock(&service_.mutex_);
  ASSERT_THAT(service_.downloads, SizeIs(4));
  EXPECT_EQ(service_.downloads[1].second, 1000u) << "went on at the byte where it broke";
}

TEST_F(CliTest, ClipsThatAreThereAreNotFetchedAgain) {
  ASSERT_EQ(Run(Generate()), 0);
  std::ofstream(dir_ / "clips" / "clip-00001.mp4") << "spoilt";
  EXPECT_EQ(Run({"watch", "v", "--out", (dir_ / "clips").string()}), 0) << err_;
  ExpectAllClips();
  absl::MutexLock lock(&service_.mutex_);
  ASSERT_THAT(service_.downloads, SizeIs(4));
  EXPECT_EQ(service_.downloads[3].first, "videos/v/clips/1");
}

TEST_F(CliTest, EveryLineOfJsonParses) {
  std::vector<std::string> args = Generate();
  args.push_back("--json");
  ASSERT_EQ(Run(args), 0) << err_;
  std::istringstream lines(out_);
  int saved = 0, events = 0;
  std::string first, last;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json json = nlohmann::json::parse(line);
    ASSERT_EQ(json.size(), 1u) << line;
    last = json.begin().key();
    if (first.empty()) first = last;
    saved += last == "saved";
    events += last == "event";
  }
  EXPECT_EQ(first, "created");
  EXPECT_EQ(last, "ended");
  EXPECT_EQ(saved, 3);
  EXPECT_EQ(events, 11);
}

TEST_F(CliTest, WhatIsNotGivenIsNotSet) {
  std::ofstream(dir_ / "prompts.txt") << "two\n\n  three \n";
  ASSERT_EQ(Run({"generate", Picture(), "--prompt=one", "--prompts-file=" + (dir_ / "prompts.txt").string(),
                 "--request-id=id", "--detach"}),
            0)
      << err_;
  EXPECT_EQ(out_, "created videos/v\n");
  absl::MutexLock lock(&service_.mutex_);
  EXPECT_THAT(service_.request_ids, ElementsAre("id"));
  EXPECT_EQ(service_.created.spec().image(), "not looked at by the client");
  v1::VideoSpec spec = service_.created.spec();
  spec.clear_image();
  EXPECT_EQ(spec.ShortDebugString(), "prompts: \"one\" prompts: \"two\" prompts: \"three\"");
}

TEST_F(CliTest, EveryFlagOfTheSpecArrives) {
  ASSERT_EQ(Run({"generate",
                 Picture(),
                 "--prompt=one",
                 "--width=64",
                 "--height=32",
                 "--frames=5",
                 "--steps=2",
                 "--guidance-scale=1.5",
                 "--shift=3",
                 "--seed=9",
                 "--variant=film",
                 "--sampler=euler",
                 "--negative-prompt=",
                 "--lora=x:0.5",
                 "--lora=y",
                 "--num-clips=2",
                 "--clips-per-prompt=3",
                 "--fps=8",
                 "--priority=-4",
                 "--open-ended",
                 "--detach"}),
            0)
      << err_;
  absl::MutexLock lock(&service_.mutex_);
  v1::VideoSpec spec = service_.created.spec();
  spec.clear_image();
  EXPECT_EQ(
      spec.ShortDebugString(),
      "prompts: \"one\" negative_prompt: \"\" width: 64 height: 32 num_frames: 5 num_inference_steps: 2 "
      "guidance_scale: 1.5 flow_shift: 3 seed: 9 variant: VARIANT_FILM sampler: SAMPLER_EULER fps: 8 "
      "lora { name: \"x\" strength: 0.5 } lora { name: \"y\" } clips_per_prompt: 3 num_clips: 2 "
      "open_ended: true priority: -4");
}

TEST_F(CliTest, AFailedVideoExitsWithOneAndSaysWhy) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.end_state = v1::VIDEO_STATE_FAILED;
  }
  EXPECT_EQ(Run(Generate()), 1);
  EXPECT_THAT(out_, HasSubstr("videos/v failed"));
  EXPECT_THAT(out_, HasSubstr("the GPU is too small (OUT_OF_MEMORY)"));
}

TEST_F(CliTest, ACancelledVideoExitsWithFive) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.end_state = v1::VIDEO_STATE_CANCELLED;
  }
  EXPECT_EQ(Run(Generate()), 5);
}

TEST_F(CliTest, WrongUsageExitsWithTwoAndNamesTheMistake) {
  const struct {
    std::vector<std::string> args;
    const char* says;
  } kCases[] = {
      {{}, "Usage"},
      {{"genrate"}, "unknown command 'genrate'"},
      {{"generate"}, "an argument is missing"},
      {{"generate", "a", "b", "--prompt=x"}, "unexpected argument 'b'"},
      {{"generate", Picture()}, "at least one --prompt"},
      {{"generate", Picture(), "--promt=x"}, "did you mean --prompt?"},
      {{"generate", Picture(), "--prompt=x", "--steps=-1"}, "--steps=-1: want a whole number"},
      {{"generate", Picture(), "--prompt=x", "--variant=best"}, "want pro, film or shot"},
      {{"generate", Picture(), "--prompt=x", "--sampler=ddim"}, "want unipc or euler"},
      {{"generate", Picture(), "--prompt=x", "--lora=a:b"}, "want NAME or NAME:STRENGTH"},
      {{"generate", Picture(), "--prompt=x", "--lora=:1"}, "want NAME or NAME:STRENGTH"},
      {{"generate", Picture(), "--prompt=x", "--lora=../x:1"}, "--lora=../x:1: a name is 1..128 characters"},
      {{"generate", "/no/such.jpg", "--prompt=x"}, "cannot read /no/such.jpg"},
      {{"generate", Picture(), "--prompt=\xf0\x9f\x90\xb1 \xe2\x82\xac", "--width=33"},
       "spec.width: must be a multiple of 32"},
      {{"generate", Picture(), "--prompt=\xff\xfe"}, "--prompt: is not valid UTF-8"},
      {{"generate", Picture(), "--prompt=\xed\xa0\x80"}, "--prompt: is not valid UTF-8"},
      {{"generate", Picture(), "--prompt=\xc0\x80"}, "--prompt: is not valid UTF-8"},
      {{"generate", Picture(), "--prompt=x", "--negative-prompt=\xe2\x82"},
       "--negative-prompt: is not valid UTF-8"},
      {{"list", "--state=gone"}, "--state=gone"},
      {{"download", "v", "--clip=1", "--clips=2"}, "exclude each other"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Run(c.args), 2) << ::testing::PrintToString(c.args);
    EXPECT_THAT(err_, HasSubstr(c.says));
    EXPECT_EQ(out_, "");
  }
}

TEST_F(CliTest, AnUnknownVideoExitsWithThree) {
  EXPECT_EQ(Run({"get", "videos/nosuch"}), 3);
  EXPECT_EQ(err_, "svi: NOT_FOUND: there is no such video\n");
  EXPECT_EQ(Run({"get", "videos/nosuch", "--json"}), 3);
  EXPECT_EQ(nlohmann::json::parse(err_)["error"]["code"], "NOT_FOUND");
}

TEST_F(CliTest, AServerThatIsNotThereExitsWithFour) {
  EXPECT_EQ(Run({"list", "--server=127.0.0.1:1", "--retry-for=0s"}), 4);
  EXPECT_THAT(err_, HasSubstr("UNAVAILABLE"));
}

TEST_F(CliTest, CtrlCEndsTheWatchNotTheVideo) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.hold_watch = true;
  }
  const pid_t pid = Start(Generate());
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.mutex_.Await(absl::Condition(&service_.holding));
  }
  ASSERT_EQ(::kill(pid, SIGINT), 0);
  EXPECT_EQ(Wait(pid), 130);
  EXPECT_THAT(err_, HasSubstr("watch videos/v"));
  EXPECT_THAT(err_, HasSubstr("cancel videos/v"));
  absl::MutexLock lock(&service_.mutex_);
  EXPECT_EQ(service_.cancels, 0);
}

TEST_F(CliTest, ListFollowsPagesWhenAsked) {
  ASSERT_EQ(Run({"list"}), 0);
  EXPECT_THAT(err_, HasSubstr("--page-token=next"));
  ASSERT_EQ(Run({"list", "--all", "--json"}), 0);
  std::vector<std::string> names;
  std::istringstream lines(out_);
  for (std::string line; std::getline(lines, line);) names.push_back(nlohmann::json::parse(line)["name"]);
  EXPECT_THAT(names, ElementsAre("videos/first", "videos/second"));
}

TEST_F(CliTest, DownloadSavesOneClipOrTheWholeVideo) {
  ASSERT_EQ(Run({"download", "v", "--clip=2", "--out", dir_.string()}), 0) << err_;
  EXPECT_EQ(Contents(dir_ / "clip-00002.mp4"), ScriptedService::ClipBytes(2));
  ASSERT_EQ(Run({"download", "v", "--clips=2", "--out", (dir_ / "all.mp4").string()}), 0) << err_;
  EXPECT_EQ(Contents(dir_ / "all.mp4"), ScriptedService::ClipBytes(0) + ScriptedService::ClipBytes(1));
  ASSERT_EQ(Run({"download", "v", "whole", "--out", dir_.string()}), 0) << err_;
  EXPECT_THAT(Contents(dir_ / "v.mp4"), SizeIs(3500 * 3 + 3));
  EXPECT_EQ(Run({"download", "v", "--clip=7", "--out", dir_.string()}), 3);
}

TEST_F(CliTest, HelpListsCommandsAndExitCodes) {
  ASSERT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("generate"));
  EXPECT_THAT(out_, HasSubstr("Exit codes:"));
  ASSERT_EQ(Run({"generate", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--negative-prompt=TEXT"));
  EXPECT_THAT(out_, HasSubstr("--server=TEXT"));
}

}  // namespace
}  // namespace svi::client
