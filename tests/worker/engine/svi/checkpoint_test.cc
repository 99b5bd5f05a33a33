// Checkpoints that are made, and checkpoints that are broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/checkpoint_tools.h"
#include "engine/engine.h"
#include "tests/worker/engine/svi/engine_fixture.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string ReadBytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}
void WriteBytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) / ("svi_checkpoint_test_" + std::to_string(getpid()));
    fs::remove_all(root_);
    ASSERT_TRUE(InitModel({"tiny", "float32", 3, (root_ / "model").string()}).ok());
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path transformer() const { return root_ / "model/transformer/diffusion_pytorch_model.safetensors"; }
  absl::Status Load() const { return Engine::Load(OptionsFor((root_ / "model").string(), 1)).status(); }

  // Replaces a text of the same length in the file's JSON header.
  void EditHeader(const std::string& from, const std::string& to) {
    ASSERT_EQ(from.size(), to.size());
    std::string bytes = ReadBytes(transformer());
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    WriteBytes(transformer(), bytes.replace(at, from.size(), to));
  }

  fs::path root_;
};

TEST_F(CheckpointTest, TheSameOptionsGiveTheSameBytes) {
  ASSERT_TRUE(InitModel({"tiny", "float32", 3, (root_ / "again").string()}).ok());
  ASSERT_TRUE(InitModel({"tiny", "float32", 4, (root_ / "other").string()}).ok());
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root_ / "model")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const fs::path relative = fs::relative(entry.path(), root_ / "model");
    EXPECT_EQ(ReadBytes(entry.path()), ReadBytes(root_ / "again" / relative)) << relative;
  }
  EXPECT_GE(files, 10);
  EXPECT_NE(ReadBytes(transformer()),
            ReadBytes(root_ / "other/transformer/diffusion_pytorch_model.safetensors"));
}

TEST_F(CheckpointTest, InitModelRefusesWhatItCannotDo) {
  EXPECT_EQ(InitModel({"huge", "float32", 0, (root_ / "x").string()}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(InitModel({"tiny", "int8", 0, (root_ / "x").string()}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(InitModel({"tiny", "float32", 0, (root_ / "model").string()}).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(CheckpointTest, ABfloat16CheckpointRuns) {
  ASSERT_TRUE(InitModel({"tiny", "bfloat16", 3, (root_ / "half").string()}).ok());
  auto engine = Engine::Load(OptionsFor((root_ / "half").string(), 2));
  ASSERT_TRUE(engine.ok()) << engine.status();
  ClipRequest request;
  request.prompt = "rain";
  request.width = request.height = 32;
  request.num_frames = 5;
  request.num_inference_steps = 1;
  const Picture picture{32, 32, std::vector<uint8_t>(32 * 32 * 3, 100)};
  const auto clip = (*engine)->GenerateClip(request, picture, "", {});
  ASSERT_TRUE(clip.ok()) << clip.status();
  EXPECT_EQ(clip->frame_count, 5);
}

TEST_F(CheckpointTest, MissingAndExtraTensorsAreAllNamed) {
  EditHeader("\"blocks.0.attn1.to_q.bias\"", "\"blocks.0.attn1.to_q.bios\"");
  EditHeader("\"blocks.1.attn2.to_v.weight\"", "\"blocks.1.attn2.to_x.weight\"");
  const absl::Status status = Load();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("transformer"), HasSubstr("blocks.0.attn1.to_q.bias"),
                    HasSubstr("blocks.0.attn1.to_q.bios"), HasSubstr("blocks.1.attn2.to_v.weight"),
                    HasSubstr("blocks.1.attn2.to_x.weight"), Not(HasSubstr(root_.string()))));
}

TEST_F(CheckpointTest, AMisshapenTensorIsNamed) {
  std::string config = ReadBytes(root_ / "model/transformer/config.json");
  const size_t at = config.find("\"ffn_dim\": 192");
  ASSERT_NE(at, std::string::npos);
  WriteBytes(root_ / "model/transformer/config.json", config.replace(at, 14, "\"ffn_dim\": 160"));
  const absl::Status status = Load();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("blocks.0.ffn.net.0.proj.weight"), HasSubstr("192"), HasSubstr("160")));
}

TEST_F(CheckpointTest, TheFaultsOfAllComponentsAreNamedAtOnce) {
  EditHeader("\"blocks.0.attn1.to_q.bias\"", "\"blocks.0.attn1.to_q.bios\"");
  const auto shrink = [&](const std::string& component, const std::string& field, const std::string& value) {
    const fs::path path = root_ / "model" / component / "config.json";
    std::string config = ReadBytes(path);
    const size_t at = config.find("\"" + field + "\": ");
    ASSERT_NE(at, std::string::npos) << config;
    const size_t begin = at + field.size() + 4;
    WriteBytes(path, config.replace(begin, config.find_first_of(",\n", begin) - begin, value));
  };
  shrink("vae", "z_dim", "47");
  shrink("text_encoder", "d_ff", "96");
  fs::remove_all(root_ / "model/tokenizer");
  const absl::Status status = Load();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("blocks.0.attn1.to_q.bias"), HasSubstr("z_dim"),
                                                   HasSubstr("DenseReluDense"), HasSubstr("tokenizer")));
}

TEST_F(CheckpointTest, ATruncatedFileIsRefused) {
  const std::string bytes = ReadBytes(transformer());
  for (const size_t length : {size_t{0}, size_t{7}, size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    WriteBytes(transformer(), bytes.substr(0, length));
    const absl::Status status = Load();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << length << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(root_.string())));
  }
}

TEST_F(CheckpointTest, ALyingHeaderIsRefused) {
  std::string bytes = ReadBytes(transformer());
  bytes.replace(0, 8, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8));
  WriteBytes(transformer(), bytes);
  EXPECT_EQ(Load().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointTest, MissingPartsAreNamed) {
  fs::remove(transformer());
  EXPECT_EQ(Load().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Load().message()), HasSubstr("transformer/diffusion_pytorch_model.safetensors"));
  EXPECT_EQ(Engine::Load(OptionsFor((root_ / "nowhere").string(), 1)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(CheckpointTest, DevicesThatAreNotThere) {
  const std::string dir = (root_ / "model").string();
  EXPECT_EQ(Engine::Load(OptionsFor(dir, 1, "cuda:7")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Engine::Load(OptionsFor(dir, 1, "tpu")).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace svi::engine
