// The model that ships with the project, on scenes that it was not trained on.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char kDemo[] = SVI_SOURCE_DIR "/models/demo";

class DemoModelTest : public testing::Test {
 protected:
  DemoModelTest() { fs::create_directories(dir_); }
  ~DemoModelTest() override { fs::remove_all(dir_); }

  static std::vector<json> Scenes() {
    std::vector<json> scenes;
    std::ifstream in(absl::StrCat(kDemo, "/held-out/scenes.jsonl"));
    for (std::string line; std::getline(in, line);) scenes.push_back(json::parse(line));
    return scenes;
  }

  // What eval-drift measures in the first clip of every scene.
  std::vector<json> FirstClips(const std::string& name, const std::vector<json>& scenes) {
    const fs::path list = dir_ / (name + ".jsonl"), report = dir_ / (name + ".json");
    std::ofstream out(list);
    for (json scene : scenes) {
      scene["picture"] = absl::StrCat(kDemo, "/held-out/", scene["picture"].get<std::string>());
      out << scene.dump() << "\n";
    }
    out.close();
    Process process({BinaryPath("svi-worker"), "eval-drift", absl::StrCat("--model=", kDemo, "/model"),
                     "--device=cpu", "--threads=1", absl::StrCat("--scenes=", list.string()),
                     "--measure-at=1", absl::StrCat("--out=", report.string())});
    EXPECT_EQ(process.Wait(absl::Seconds(200)), 0) << process.output();
    std::vector<json> clips;
    const json measured = json::parse(ReadFile(report.string()));
    for (const json& scene : measured.at("scenes")) clips.push_back(scene.at("clips").at(0));
    return clips;
  }

  // "a red car drifts to the right" → "a red car"
  static std::string SubjectOf(const json& scene) {
    const std::string prompt = scene.at("prompt");
    size_t end = 0;
    for (int word = 0; word < 3; ++word) end = prompt.find(' ', end + 1);
    return prompt.substr(0, end);
  }

  static double Motion(const json& clip) { return clip.at("measures").at("motion").get<double>(); }

  const fs::path dir_ = fs::path(testing::TempDir()) / absl::StrCat("svi_demo_model_", getpid());
};

TEST_F(DemoModelTest, IsSmallEnoughToShip) {
  uint64_t bytes = 0;
  for (const char* folder : {"/model", "/loras"}) {
    for (const auto& entry : fs::recursive_directory_iterator(absl::StrCat(kDemo, folder))) {
      if (entry.is_regular_file()) bytes += entry.file_size();
    }
  }
  EXPECT_LT(bytes, 20'000'000u);
}

// The same pictures and noise, and only the caption says whether the object moves.
TEST_F(DemoModelTest, TheCaptionDecidesWhetherAnythingMoves) {
  std::vector<json> moving, still;
  for (const json& scene : Scenes()) {
    if (scene.at("direction") == "still") continue;
    moving.push_back(scene);
    json other = scene;
    other["prompt"] = SubjectOf(scene) + " stands still";
    other["direction"] = "still";
    still.push_back(other);
  }
  const std::vector<json> with = FirstClips("moving", moving), without = FirstClips("still", still);
  ASSERT_EQ(with.size(), moving.size());
  ASSERT_EQ(without.size(), moving.size());
  ASSERT_GE(moving.size(), 12u);
  size_t followed = 0;
  for (size_t i = 0; i < with.size(); ++i) followed += Motion(without[i]) < 0.95 * Motion(with[i]);
  // By chance this happens to half of them; four fifths of 12 or more have a probability below 0.02.
  EXPECT_GE(followed, (with.size() * 4 + 4) / 5);
}

// Every picture with each of the four directions: nothing but the caption can tell them apart.
TEST_F(DemoModelTest, ThingsMoveWhereTheCaptionSays) {
  std::vector<json> asked;
  for (const json& scene : Scenes()) {
    if (asked.size() == 40) break;
    for (const char* direction : {"left", "right", "up", "down"}) {
      json other = scene;
      other["prompt"] = absl::StrCat(SubjectOf(scene), " moves ", direction);
      other["direction"] = direction;
      asked.push_back(other);
    }
  }
  const std::vector<json> clips = FirstClips("directions", asked);
  ASSERT_EQ(clips.size(), 40u);
  size_t followed = 0;
  for (size_t i = 0; i < clips.size(); ++i) {
    followed += clips[i].at("motion").at("direction") == asked[i].at("direction");
  }
  // By chance a quarter, 10; 19 or more have a probability of 0.001.
  EXPECT_GE(followed, 19u) << followed << " of 40";
}

}  // namespace
}  // namespace svi::e2e
