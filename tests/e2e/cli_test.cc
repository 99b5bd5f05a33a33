// The svi command as a person or a script uses it, against real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/cluster.h"
#include "worker/media/media.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    cluster_.StartServer();
    worker_ = cluster_.StartWorker();
  }

  struct Outcome {
    int exit_code;
    std::string output;
  };
  Outcome Run(std::vector<std::string> args) {
    args.insert(args.begin(), {BinaryPath("svi"), "--server=" + cluster_.address()});
    Process process(args);
    const int code = process.Wait(absl::Seconds(150));
    return {code, process.output()};
  }
  std::vector<std::string> Small(const std::string& picture, const std::string& out) {
    return {"generate",          picture,     "--prompt",   "a boat sails",
            "--prompt=it turns", "--seed=3",  "--width=64", "--height=64",
            "--frames=17",       "--steps=2", "--out",      out};
  }

  Cluster cluster_;
  std::unique_ptr<Process> worker_;
};

TEST_F(Cli, GenerateLeavesTheClipsInOrder) {
  const std::string out = cluster_.dir() + "/clips";
  const Outcome run = Run(Small(DemoPicture(), out));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(out)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  ASSERT_EQ(names.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(names[i].ends_with(".mp4"));
    const auto video = media::DecodeVideo(ReadFile(out + "/" + names[i]));
    ASSERT_TRUE(video.ok()) << video.status();
    EXPECT_EQ(video->frames.size(), i == 0 ? 17u : 12u);
  }
}

TEST_F(Cli, TheOfflineWorkerMakesTheSameClips) {
  const std::string online = cluster_.dir() + "/online", offline = cluster_.dir() + "/offline";
  ASSERT_EQ(Run(Small(DemoPicture(), online)).exit_code, 0);
  std::vector<std::string> args = Small(DemoPicture(), offline);
  args.insert(args.begin(), BinaryPath("svi-worker"));
  args.insert(args.end(), {"--model=" + Cluster::ModelDir(), "--device=cpu", "--threads=1"});
  Process worker(args);
  ASSERT_EQ(worker.Wait(), 0) << worker.output();
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(online)) {
    EXPECT_EQ(ReadFile(entry.path()), ReadFile(offline + "/" + entry.path().filename().string()));
    ++compared;
  }
  EXPECT_EQ(compared, 2);
}

TEST_F(Cli, BadInputIsNamedAndCostsNothing) {
  const std::string out = cluster_.dir() + "/clips";
  const std::string text_file = cluster_.dir() + "/notes.jpg";
  std::ofstream(text_file) << "this is not a picture";
  const std::string cut = cluster_.dir() + "/cut.jpg";
  const std::string whole = ReadFile(DemoPicture());
  std::ofstream(cut, std::ios::binary) << whole.substr(0, whole.size() / 2);
  struct Case {
    std::vector<std::string> args;
    const char* says;
  };
  const std::string boat = DemoPicture();
  const std::vector<Case> cases = {
      {{"generate", text_file, "--prompt=x", "--out", out}, "spec.image"},
      {{"generate", cut, "--prompt=x", "--out", out}, "spec.image"},
      {{"generate", boat, "--out", out}, "prompt"},
      {{"generate", boat, "--prompt=", "--out", out}, "spec.prompts[0]"},
      {{"generate", boat, "--prompt=" + std::string(20000, 'x'), "--out", out}, "16384"},
      {{"generate", boat, "--prompt=\xff\xfe", "--out", out}, "UTF-8"},
      {{"generate", boat, "--prompt=x", "--width=65", "--height=64", "--out", out}, "spec.width"},
      {{"generate", boat, "--prompt=x", "--width=1000000000", "--height=64", "--out", out}, "width"},
      {{"generate", boat, "--prompt=x", "--steps=-3", "--out", out}, "steps"},
      {{"generate", boat, "--prompt=x", "--frames=18", "--out", out}, "spec.num_frames"},
      {{"generate", boat, "--prompt=x", "--num-clips=1000000000", "--out", out}, "num_clips"},
      {{"generate", boat, "--prompt=x", "--variant=neu", "--out", out}, "variant"},
      {{"generate", cluster_.dir() + "/no-such.jpg", "--prompt=x", "--out", out}, "no-such.jpg"},
      {{"frobnicate"}, "frobnicate"},
  };
  for (const Case& c : cases) {
    const Outcome run = Run(c.args);
    EXPECT_EQ(run.exit_code, 2) << testing::PrintToString(c.args) << "\n" << run.output;
    EXPECT_THAT(run.output, HasSubstr(c.says));
  }
  EXPECT_EQ(Run({"get", "videos/nosuchvideo"}).exit_code, 3);
  const Outcome list = Run({"list", "--json"});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_EQ(list.output.find("videos/"), std::string::npos) << "nothing was queued\n" << list.output;
  EXPECT_EQ(Run(Small(boat, out)).exit_code, 0) << "and everything still works";
}

TEST_F(Cli, WorkersListsTheWorker) {
  const Outcome run = Run({"workers", "--json"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, HasSubstr("tiny-random"));
}

}  // namespace
}  // namespace svi::e2e
