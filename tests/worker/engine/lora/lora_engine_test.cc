// LoRAs through the engine's public face, on the tiny random model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/checkpoint_tools.h"
#include "engine/engine.h"
#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// A safetensors file of zeros and ones written by hand: this binary sees no LibTorch. All layers named take
// and give `width` numbers; down is ones / 8, up is ones / 8, both float32.
std::string LoraOnes(const std::vector<std::string>& layers, int width) {
  std::string header = "{", data;
  const float value = 0.125f;
  for (const std::string& layer : layers) {
    for (const std::string part : {"lora_down", "lora_up"}) {
      const std::string begin = std::to_string(data.size());
      for (int i = 0; i < width; ++i) data.append(reinterpret_cast<const char*>(&value), sizeof(value));
      header += (header.size() == 1 ? "\"" : ",\"") + layer + "." + part +
                R"(.weight":{"dtype":"F32","shape":[)" +
                (part == "lora_down" ? "1," + std::to_string(width) : std::to_string(width) + ",1") +
                R"(],"data_offsets":[)" + begin + "," + std::to_string(data.size()) + "]}";
    }
  }
  header += "}";
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
}

class LoraEngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new TempDir;
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, model_->path()}).ok());
  }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

  LoraEngineTest() {
    EngineOptions options;
    options.model_dir = model_->path();
    options.device = "cpu";
    options.num_threads = 1;
    options.lora_dir = loras_.path();
    auto engine = Engine::Load(options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    loras_.Write(
        "good.safetensors",
        LoraOnes({"diffusion_model.blocks.0.self_attn.v", "lora_unet_blocks_1_cross_attn_o"}, kWidth));
  }

  struct Clip {
    absl::Status status;
    ClipResult result;
    std::vector<std::vector<uint8_t>> frames;
  };
  Clip Make(const std::vector<LoraRef>& loras, bool cancelled = false) {
    ClipRequest request;
    request.prompt = "a boat sails to the left";
    request.width = request.height = 32;
    request.num_frames = 5;
    request.num_inference_steps = 2;
    request.guidance_scale = 1;
    request.loras = loras;
    Clip clip;
    ClipCallbacks callbacks;
    callbacks.cancelled = [&] { return cancelled; };
    callbacks.frame = [&](const Picture& frame) {
      clip.frames.push_back(frame.rgb);
      return absl::OkStatus();
    };
    const Picture picture{32, 32, std::vector<uint8_t>(3 * 32 * 32, 120)};
    auto result = engine_->GenerateClip(request, picture, "", callbacks);
    clip.status = result.status();
    if (result.ok()) clip.result = *std::move(result);
    return clip;
  }

  static constexpr int kWidth = 96;  // of the tiny model
  static TempDir* model_;
  const TempDir loras_;
  std::unique_ptr<Engine> engine_;
};
TempDir* LoraEngineTest::model_ = nullptr;

TEST_F(LoraEngineTest, AClipWithItDiffersAndOneWithoutItIsAsBefore) {
  const Clip before = Make({});
  ASSERT_TRUE(before.status.ok()) << before.status;
  EXPECT_EQ(before.result.lora_time, absl::ZeroDuration());
  EXPECT_EQ(engine_->memory().lora_bytes, 0u);

  const Clip with = Make({{"good", 1.0f}});
  ASSERT_TRUE(with.status.ok()) << with.status;
  EXPECT_NE(with.result.carry, before.result.carry);
  EXPECT_GT(with.result.lora_time, absl::ZeroDuration());
  EXPECT_EQ(engine_->memory().lora_bytes, 2u * kWidth * kWidth * sizeof(float));

  const Clip again = Make({{"good", 1.0f}});
  EXPECT_EQ(again.result.carry, with.result.carry);
  EXPECT_EQ(again.frames, with.frames);
  EXPECT_EQ(again.result.lora_time, absl::ZeroDuration());

  EXPECT_NE(Make({{"good", -1.0f}}).result.carry, with.result.carry);
  EXPECT_EQ(Make({{"good", 0.0f}}).result.carry, before.result.carry) << "strength 0 is none";
  Make({{"good", 1.0f}});

  const Clip after = Make({});
  EXPECT_EQ(after.result.carry, before.result.carry);
  EXPECT_EQ(after.frames, before.frames);
  EXPECT_GT(after.result.lora_time, absl::ZeroDuration());
  EXPECT_EQ(engine_->memory().lora_bytes, 0u);
}

TEST_F(LoraEngineTest, BadFilesLeaveItRunning) {
  const Clip before = Make({});
  loras_.Write("junk.safetensors", "not a LoRA");
  loras_.Write("alien.safetensors", LoraOnes({"diffusion_model.blocks.9.self_attn.v"}, kWidth));
  loras_.Write("wide.safetensors", LoraOnes({"diffusion_model.blocks.0.self_attn.v"}, kWidth + 1));
  const std::string whole = LoraOnes({"diffusion_model.blocks.0.self_attn.v"}, kWidth);
  loras_.Write("cut.safetensors", whole.substr(0, whole.size() - 4));
  const LoraFolder folder = engine_->ScanLoras();
  EXPECT_THAT(folder.loras, testing::ElementsAre(LoraFolder::Lora{"good", 1, 2}));
  EXPECT_THAT(folder.refused, SizeIs(4));
  for (const char* name : {"junk", "alien", "wide", "cut"}) {
    const absl::Status status = Make({{"good", 1.0f}, {name, 1.0f}}).status;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(std::string("LoRA '") + name + "': "), Not(HasSubstr(loras_.path()))));
  }
  EXPECT_EQ(Make({}).result.carry, before.result.carry);
}

TEST_F(LoraEngineTest, UnknownIsNotFound) {
  const absl::Status status = Make({{"absent", 1.0f}}).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("LoRA 'absent'"));
}

TEST_F(LoraEngineTest, CancellingWhileMergingLeavesTheBase) {
  const Clip before = Make({});
  EXPECT_EQ(Make({{"good", 1.0f}}, /*cancelled=*/true).status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(engine_->memory().lora_bytes, 0u);
  EXPECT_EQ(Make({}).result.carry, before.result.carry);
}

TEST_F(LoraEngineTest, FilesComeAndGoWhileItRuns) {
  EXPECT_THAT(engine_->ScanLoras().loras, SizeIs(1));
  loras_.Write("new.safetensors", LoraOnes({"diffusion_model.blocks.1.self_attn.v"}, kWidth));
  EXPECT_THAT(engine_->ScanLoras().loras, SizeIs(2));
  EXPECT_TRUE(Make({{"new", 1.0f}}).status.ok());
  std::filesystem::remove(loras_.File("new.safetensors"));
  EXPECT_THAT(engine_->ScanLoras().loras, SizeIs(1));
  EXPECT_EQ(Make({{"new", 1.0f}}).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(LoraEngineTest, NoFolderNoLoras) {
  EngineOptions options;
  options.model_dir = model_->path();
  options.device = "cpu";
  engine_ = *Engine::Load(options);
  EXPECT_EQ(engine_->ScanLoras(), LoraFolder());
  EXPECT_EQ(Make({{"good", 1.0f}}).status.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace svi::engine
