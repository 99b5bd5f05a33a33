// What is in a file, and every way it can be wrong.
#include "worker/engine/lora/lora_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include "tests/worker/engine/lora/lora_test_util.h"
#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kStem = "diffusion_model.blocks.0.self_attn.q";
const std::string kLayer = "blocks.0.attn1.to_q";

class LoraFileTest : public testing::Test {
 protected:
  LoraWeights Read(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return ReadLora(dir_.Write("x.safetensors", LoraBytes(tensors, metadata)), TargetsA());
  }
  // Why it is refused; empty if it is not.
  std::string Why(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return WhyBytes(LoraBytes(tensors, metadata));
  }
  std::string WhyBytes(const std::string& bytes) {
    try {
      ReadLora(dir_.Write("x.safetensors", bytes), TargetsA());
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  }
  double ScaleWithMetadata(const std::string& json) {
    return Read(Pair(), {{"lora_adapter_metadata", json}}).modules.at(kLayer).scale;
  }

  const TempDir dir_;
};

TEST_F(LoraFileTest, AlphaOfAnyFloatingTypeAndEitherShape) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, std::vector<int64_t>{1}}) {
      Tensors tensors = Pair();
      tensors[kStem + ".alpha"] = at::full(shape, 3.0, dtype);
      EXPECT_EQ(Read(tensors).modules.at(kLayer).scale, 1.5);
    }
  }
  EXPECT_EQ(Read(Pair()).modules.at(kLayer).scale, 1.0) << "no alpha is alpha = rank";
}

TEST_F(LoraFileTest, AlphaInMetadata) {
  EXPECT_EQ(ScaleWithMetadata(R"({"transformer.r": 2, "transformer.lora_alpha": 6})"), 3.0);
  EXPECT_EQ(ScaleWithMetadata(R"({"r": 2, "lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 5}})"), 2.5);
  EXPECT_EQ(ScaleWithMetadata(R"({"lora_alpha": 6, "alpha_pattern": {"self_attn.q": 5}})"), 2.5);
  EXPECT_EQ(ScaleWithMetadata(R"({"lora_alpha": 6, "alpha_pattern": {"o_q": 5}})"), 3.0)
      << "components are whole";
  EXPECT_EQ(ScaleWithMetadata(R"({"text_encoder.lora_alpha": 6})"), 1.0);
  EXPECT_DOUBLE_EQ(ScaleWithMetadata(R"({"lora_alpha": 6, "use_rslora": true})"), 6 / std::sqrt(2.0));
  Tensors with_own = Pair();
  with_own[kStem + ".alpha"] = at::full({}, 4.0);
  EXPECT_EQ(Read(with_own, {{"lora_adapter_metadata", R"({"lora_alpha": 6})"}}).modules.at(kLayer).scale, 2.0)
      << "a layer's own alpha goes first";
}

TEST_F(LoraFileTest, RefusesMetadataThatItCannotFollow) {
  for (const char* json :
       {"{", "[]", R"({"lora_alpha": "six"})", R"({"lora_alpha": 6, "alpha_pattern": {".*_q": 5}})",
        R"({"alpha_pattern": 3})", R"({"alpha_pattern": {"to_q": null}})"}) {
    EXPECT_THAT(Why(Pair(), {{"lora_adapter_metadata", json}}), StartsWith("x.safetensors: ")) << json;
  }
}

TEST_F(LoraFileTest, SqueezesOneByOneConvolutions) {
  Tensors tensors = Pair();
  const at::Tensor down = tensors.at(kStem + ".lora_down.weight");
  for (auto& [name, tensor] : tensors) tensor = tensor.unsqueeze(-1).unsqueeze(-1);
  const LoraModule module = Read(tensors).modules.at(kLayer);
  EXPECT_TRUE(at::equal(module.down, down));
  EXPECT_EQ(module.up.sizes(), at::IntArrayRef({96, 2}));
}

TEST_F(LoraFileTest, OneRankOfItsOwnForEachLayer) {
  Tensors tensors = Pair();
  tensors["diffusion_model.blocks.1.ffn.0.lora_down.weight"] = at::ones({5, 96});
  tensors["diffusion_model.blocks.1.ffn.0.lora_up.weight"] = at::ones({160, 5});
  const LoraFile file(dir_.Write("x.safetensors", LoraBytes(tensors)), TargetsA());
  EXPECT_EQ(file.rank(), 5);
  EXPECT_EQ(file.modules(), 2);
  EXPECT_EQ(file.Read().modules.at(kLayer).rank(), 2);
}

TEST_F(LoraFileTest, NamesEveryBadKeyAtOnce) {
  Tensors tensors = Pair();
  tensors["diffusion_model.blocks.7.self_attn.q.lora_down.weight"] = at::ones({2, 96});
  tensors["diffusion_model.blocks.0.self_attn.norm_q.lora_up.weight"] = at::ones({2, 96});
  tensors["diffusion_model.blocks.0.self_attn.v.lora_down.weight"] = at::ones({2, 96});
  tensors["diffusion_model.blocks.0.self_attn.k.alpha"] = at::ones({});
  tensors["diffusion_model.blocks.0.self_attn.q.diff_b"] = at::ones({96});
  tensors["diffusion_model.blocks.0.self_attn.q.dora_scale"] = at::ones({96});
  tensors["diffusion_model.blocks.0.self_attn.o.lora_down.weight"] = at::ones({2, 95});
  tensors["diffusion_model.blocks.0.self_attn.o.lora_up.weight"] = at::ones({96, 2});
  tensors["diffusion_model.blocks.1.self_attn.o.lora_down.weight"] = at::ones({2, 96});
  tensors["diffusion_model.blocks.1.self_attn.o.lora_up.weight"] = at::ones({96, 3});
  tensors["diffusion_model.blocks.1.self_attn.q.lora_down.weight"] = at::ones({2, 96}, at::kInt);
  tensors["diffusion_model.blocks.1.self_attn.q.lora_up.weight"] = at::ones({96, 2});
  tensors["transformer.blocks.0.attn1.to_q.lora_A.weight"] = at::ones({2, 96});
  EXPECT_THAT(
      Why(tensors),
      AllOf(
          StartsWith("x.safetensors: "),
          HasSubstr("no layer that this model has: diffusion_model.blocks.0.self_attn.norm_q.lora_up.weight, "
                    "diffusion_model.blocks.7.self_attn.q.lora_down.weight"),
          HasSubstr("without their partner: diffusion_model.blocks.0.self_attn.k.alpha, "
                    "diffusion_model.blocks.0.self_attn.v.lora_down.weight"),
          HasSubstr("no low-rank pair's down, up or alpha: diffusion_model.blocks.0.self_attn.q.diff_b, "
                    "diffusion_model.blocks.0.self_attn.q.dora_scale"),
          HasSubstr("diffusion_model.blocks.0.self_attn.o.lora_down.weight [2, 95], expected [rank, 96]"),
          HasSubstr("diffusion_model.blocks.1.self_attn.o.lora_up.weight [96, 3], expected [96, 2]"),
          HasSubstr("not of floating point: diffusion_model.blocks.1.self_attn.q.lora_down.weight (I32)"),
          HasSubstr("for what another is for: transformer.blocks.0.attn1.to_q.lora_A.weight"),
          Not(HasSubstr("self_attn.q.lora_up"))));
}

TEST_F(LoraFileTest, RefusesShapes) {
  const auto with = [](const at::Tensor& down, const at::Tensor& up) {
    return Tensors{{kStem + ".lora_down.weight", down}, {kStem + ".lora_up.weight", up}};
  };
  EXPECT_THAT(Why(with(at::ones({0, 96}), at::ones({96, 0}))), HasSubstr("expected [rank, 96]"));
  EXPECT_THAT(Why(with(at::ones({96}), at::ones({96, 1}))), HasSubstr("[96], expected [rank, 96]"));
  EXPECT_THAT(Why(with(at::ones({2, 96, 3, 3}), at::ones({96, 2, 1, 1}))), HasSubstr("[2, 96, 3, 3]"));
  EXPECT_THAT(Why(with(at::ones({96, 2}), at::ones({2, 96}))), HasSubstr("expected"));
  Tensors tensors = Pair();
  tensors[kStem + ".alpha"] = at::ones({2});
  EXPECT_THAT(Why(tensors), HasSubstr(kStem + ".alpha [2], expected one number"));
}

TEST_F(LoraFileTest, RefusesWhatIsNotFiniteNamingAll) {
  Tensors tensors = Pair();
  tensors[kStem + ".alpha"] = at::full({}, std::numeric_limits<double>::infinity());
  tensors[kStem + ".lora_up.weight"][3][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Why(tensors), HasSubstr("not finite: " + kStem + ".lora_up.weight, " + kStem + ".alpha"));
}

TEST_F(LoraFileTest, RefusesWhatHoldsNone) {
  EXPECT_THAT(Why({}), HasSubstr("holds no LoRA"));
  EXPECT_THAT(Why({{"blocks.0.attn1.to_q.weight", at::ones({96, 96})}}),
              HasSubstr("blocks.0.attn1.to_q.weight"));
}

TEST_F(LoraFileTest, EveryTruncationIsRefused) {
  const std::string bytes = LoraBytes(Pair());
  for (size_t size = 0; size < bytes.size(); size += size < 400 ? 1 : 97) {
    EXPECT_NE(WhyBytes(bytes.substr(0, size)), "") << size;
  }
  EXPECT_EQ(WhyBytes(bytes), "");
}

TEST_F(LoraFileTest, LyingHeaderLengths) {
  std::string bytes = LoraBytes(Pair());
  bytes[7] = '\x7f';  // far beyond the file
  EXPECT_THAT(WhyBytes(bytes), HasSubstr("says its header has"));
}

TEST_F(LoraFileTest, ShrinkingWhileOpenIsAnErrorNotACrash) {
  const std::string path = dir_.Write("x.safetensors", LoraBytes(Pair()));
  const LoraFile file(path, TargetsA());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  EXPECT_THROW(file.Read(), std::invalid_argument);
}

TEST_F(LoraFileTest, ReplacingWhileOpenDoesNotDisturb) {
  const std::string path = dir_.Write("x.safetensors", LoraBytes(Pair()));
  const LoraFile file(path, TargetsA());
  std::filesystem::rename(dir_.Write("new", "something else"), path);
  EXPECT_EQ(file.Read().modules.size(), 1u);
  EXPECT_NE(LoraFileVersion(path), file.version());
}

TEST_F(LoraFileTest, SaysWhatCannotBeOpened) {
  EXPECT_THROW(ReadLora(dir_.File("absent.safetensors"), TargetsA()), std::system_error);
  EXPECT_THROW(ReadLora(dir_.path(), TargetsA()), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
