// The engine on the tiny random model, and clips of it.
#ifndef SVI_TESTS_WORKER_ENGINE_SVI_ENGINE_FIXTURE_H_
#define SVI_TESTS_WORKER_ENGINE_SVI_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint_tools.h"
#include "engine/engine.h"

namespace svi::engine {

inline EngineOptions OptionsFor(const std::string& model_dir, int threads,
                                const std::string& device = "cpu") {
  EngineOptions options;
  options.model_dir = model_dir;
  options.device = device;
  options.num_threads = threads;
  return options;
}

inline Picture Gradient(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<uint8_t>(x * 255 / width));
      picture.rgb.push_back(static_cast<uint8_t>(y * 255 / height));
      picture.rgb.push_back(90);
    }
  }
  return picture;
}

struct MadeClip {
  ClipResult result;
  std::vector<Picture> frames;
};

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::filesystem::path(testing::TempDir()) / ("svi_engine_test_" + std::to_string(getpid()));
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, dir_}).ok());
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(dir_); }

  static EngineOptions Options() { return OptionsFor(dir_, 2); }
  static std::unique_ptr<Engine> Load(const EngineOptions& options = Options()) {
    auto engine = Engine::Load(options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }

  static ClipRequest Request(int index, Variant variant = Variant::kPro) {
    ClipRequest request;
    request.clip_index = index;
    request.prompt = "a boat sails to the left";
    request.negative_prompt = "blurred";
    request.width = 64;
    request.height = 32;
    request.num_frames = 17;
    request.num_inference_steps = 2;
    request.seed = 5 + 42 * index;
    request.variant = variant;
    return request;
  }

  static MadeClip Make(Engine& engine, const ClipRequest& request, const std::string& carry) {
    MadeClip clip;
    ClipCallbacks callbacks;
    callbacks.frame = [&](const Picture& frame) {
      clip.frames.push_back(frame);
      return absl::OkStatus();
    };
    auto result = engine.GenerateClip(request, Gradient(100, 70), carry, callbacks);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) clip.result = *std::move(result);
    return clip;
  }

  static bool SameFrames(const MadeClip& a, const MadeClip& b) {
    if (a.frames.size() != b.frames.size()) return false;
    for (size_t i = 0; i < a.frames.size(); ++i) {
      if (a.frames[i].rgb != b.frames[i].rgb) return false;
    }
    return true;
  }

  inline static std::string dir_;
};

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_SVI_ENGINE_FIXTURE_H_
