// svi-worker eval-drift as its users run it: scenes in, a report, a table and a plot out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/conformance/temp_dir.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "worker/media/media.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  ASSERT_TRUE(out.flush().good()) << path;
}

engine::Picture Slope(int width, int height, int blue) {
  engine::Picture picture{.width = width, .height = height, .rgb = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<uint8_t>(x * 255 / width));
      picture.rgb.push_back(static_cast<uint8_t>(y * 255 / height));
      picture.rgb.push_back(static_cast<uint8_t>(blue));
    }
  }
  return picture;
}

class EvalDriftTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(dir_.File("pictures"));
    Write(dir_.File("pictures/a.png"), *media::EncodePng(Slope(32, 32, 40)));
    Write(dir_.File("pictures/b.png"), *media::EncodePng(Slope(80, 50, 200)));  // has to be cut to size
    Write(
        scenes_,
        R"({"picture": "pictures/a.png", "prompt": "a red ball moves left", "seed": 3, "direction": "left"})"
        "\n\n"
        R"({"picture": "pictures/b.png", "prompt": "the boat stands still", "direction": "still", "other": 1})"
        "\n");
  }

  struct Result {
    int exit_code = -1;
    std::string said;
  };
  Result Run(const std::vector<std::string>& flags) {
    std::vector<std::string> args = {BinaryPath("svi-worker"), "eval-drift"};
    args.insert(args.end(), flags.begin(), flags.end());
    Process process(args);
    const int exit_code = process.Wait(absl::Seconds(150));
    return {exit_code, process.output()};
  }
  std::vector<std::string> Small(const std::string& out) const {
    return {"--model=" + Cluster::ModelDir(),
            "--scenes=" + scenes_,
            "--out=" + out,
            "--measure-at=1,2",
            "--width=32",
            "--height=32",
            "--frames=9",
            "--steps=2",
            "--threads=1"};
  }
  std::vector<std::string> Small(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> flags = Small(out);
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }

  const TempDir dir_;
  const std::string scenes_ = dir_.File("scenes.jsonl");
};

void ExpectMeasured(const json& clip, int number) {
  EXPECT_EQ(clip["clip"], number);
  const json& measures = clip["measures"];
  for (const char* name : {"brightness", "contrast", "saturation", "sharpness", "motion", "static_share"}) {
    EXPECT_TRUE(measures[name].is_number()) << name;
  }
  EXPECT_EQ(measures["histogram"].size(), 48u);
  for (const char* name :
       {"brightness", "contrast", "saturation", "sharpness", "motion", "histogram_distance"}) {
    ASSERT_TRUE(clip["drift"][name].is_number()) << name;
    if (number == 1) {
      EXPECT_EQ(clip["drift"][name], 0) << name;
    }
  }
  for (const char* name : {"static_psnr", "static_ssim"}) {
    EXPECT_TRUE(clip["drift"][name].is_number() || clip["drift"][name].is_null()) << name;
  }
  EXPECT_TRUE(clip["motion"]["direction"].is_string());
}

TEST_F(EvalDriftTest, MeasuresScenesTheSameEachTime) {
  const std::string report = dir_.File("tiny.json"), again = dir_.File("again.json");
  const Result result =
      Run(Small(report, {"--plot=" + dir_.File("tiny.svg"), "--table=" + dir_.File("tiny.md"),
                         "--save-frames=" + dir_.File("frames")}));
  ASSERT_EQ(result.exit_code, 0) << result.said;
  EXPECT_THAT(result.said, HasSubstr("scene 2 of 2: clip 2 of 2"));
  const json parsed = json::parse(ReadFile(report));
  EXPECT_EQ(parsed["label"], "tiny");
  EXPECT_EQ(parsed["settings"]["model"], "tiny-random");
  EXPECT_EQ(parsed["settings"]["variant"], "pro");
  EXPECT_EQ(parsed["settings"]["num_inference_steps"], 2);
  EXPECT_EQ(parsed["settings"]["size"], "32x32");
  ASSERT_EQ(parsed["scenes"].size(), 2u);
  for (const json& scene : parsed["scenes"]) {
    ASSERT_EQ(scene["clips"].size(), 2u);
    ExpectMeasured(scene["clips"][0], 1);
    ExpectMeasured(scene["clips"][1], 2);
  }
  EXPECT_EQ(parsed["scenes"][0]["seed"], 3);
  EXPECT_EQ(parsed["scenes"][1]["direction"], "still");
  EXPECT_EQ(parsed["summary"][1]["drift"]["histogram_distance"]["scenes"], 2);
  EXPECT_EQ(parsed["summary"][0]["direction"]["moving"]["of"], 1);
  EXPECT_EQ(parsed["summary"][0]["direction"]["still"]["of"], 1);
  EXPECT_THAT(ReadFile(dir_.File("tiny.svg")), HasSubstr(">tiny</text>"));
  EXPECT_THAT(ReadFile(dir_.File("tiny.md")), HasSubstr("| tiny |"));
  for (const char* name : {"scene-00000-clip-00001-first.png", "scene-00001-clip-00002-last.png"}) {
    const auto frame = media::DecodePicture(ReadFile(dir_.File(std::string("frames/") + name)));
    ASSERT_TRUE(frame.ok()) << frame.status();
    EXPECT_EQ(frame->width, 32);
  }

  ASSERT_EQ(Run(Small(again, {"--label=tiny"})).exit_code, 0);
  EXPECT_EQ(ReadFile(again), ReadFile(report));
}

// Clips that are not measured need not be decoded, which nobody may see in those that are.
TEST_F(EvalDriftTest, WhatIsMeasuredDoesNotChangeTheClips) {
  const std::string all = dir_.File("all.json"), last = dir_.File("last.json");
  ASSERT_EQ(Run(Small(all, {"--measure-at=1,2,3", "--max-scenes=1"})).exit_code, 0);
  ASSERT_EQ(Run(Small(last, {"--measure-at=3", "--max-scenes=1"})).exit_code, 0);
  const json every = json::parse(ReadFile(all))["scenes"][0]["clips"];
  const json some = json::parse(ReadFile(last))["scenes"][0]["clips"];
  ASSERT_EQ(some.size(), 2u) << "clip 1 is always measured";
  EXPECT_EQ(some[0], every[0]);
  EXPECT_EQ(some[1], every[2]);
}

TEST_F(EvalDriftTest, PutsReportsSideBySide) {
  const std::string pro = dir_.File("pro.json"), film = dir_.File("film.json");
  ASSERT_EQ(Run(Small(pro, {"--max-scenes=1"})).exit_code, 0);
  ASSERT_EQ(Run(Small(film, {"--max-scenes=1", "--variant=film"})).exit_code, 0);
  EXPECT_EQ(json::parse(ReadFile(film))["settings"]["variant"], "film");
  const Result said = Run({"--compare", pro, film});
  ASSERT_EQ(said.exit_code, 0) << said.said;
  EXPECT_THAT(said.said, HasSubstr("| pro |"));
  EXPECT_THAT(said.said, HasSubstr("| film |"));
  ASSERT_EQ(Run({"--compare", pro, film, "--plot=" + dir_.File("both.svg")}).exit_code, 0);
  const std::string svg = ReadFile(dir_.File("both.svg"));
  EXPECT_THAT(svg, HasSubstr(">pro</text>"));
  EXPECT_THAT(svg, HasSubstr(">film</text>"));
}

TEST_F(EvalDriftTest, SaysWhatIsWrong) {
  const std::string out = dir_.File("out.json");
  const auto fails = [&](const std::vector<std::string>& flags, const std::string& why) {
    const Result result = Run(flags);
    EXPECT_EQ(result.exit_code, 2) << result.said;
    EXPECT_THAT(result.said, HasSubstr(why));
  };
  fails({}, "--model is required");
  fails(Small(out, {"--measure-at=1,0"}), "--measure-at=0: want numbers of clips");
  fails(Small(out, {"--clips=2", "--measure-at=3"}), "--measure-at=3: want numbers of clips in 1..2");
  fails(Small(out, {"--steps=0"}), "--steps: must be 1..1000");
  fails(Small(out, {"--variant=slow"}), "--variant=slow: want pro, film or shot");
  fails(Small(out, {"--lora=x"}), "--lora: needs --lora-dir");
  fails({"--compare"}, "takes REPORTs");
  fails({"--compare", scenes_}, "scenes.jsonl: not a report of eval-drift");
  Write(scenes_, "{\"picture\": \"pictures/a.png\"}\n");
  fails(Small(out), "scenes.jsonl:1: has no \"prompt\"");
  Write(scenes_, "\n{\"picture\": \"pictures/a.png\", \"prompt\": \"x\", \"direction\": \"north\"}\n");
  fails(Small(out), "scenes.jsonl:2: \"direction\" must be left, right, up, down or still");
  Write(scenes_, "{\"picture\": \"gone.png\", \"prompt\": \"x\"}\n");
  fails(Small(out), "scenes.jsonl:1: \"picture\": there is no file gone.png");
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace svi::e2e
