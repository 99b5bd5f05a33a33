// svi-worker run-component as its users run it: the binary, files in, files out, compared with what the
// references make of the same files (tests/golden/components/make_fixtures.py and the fixtures it names).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/conformance/temp_dir.h"
#include "tests/e2e/process.h"
#include "worker/engine/checkpoint/key_map.h"
#include "worker/engine/text/clean.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::e2e {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

const std::string kGolden = SVI_SOURCE_DIR "/tests/golden/";
const std::string kTransformer = kGolden + "components/transformer";
const std::string kPipeline = kGolden + "svi/model";

Tensors Read(const std::string& path) { return engine::ReadSafetensors(path).tensors; }

double MaxError(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

std::vector<std::string> Names(const Tensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

class RunComponentTest : public testing::Test {
 protected:
  struct Result {
    int exit_code = -1;
    std::string said;
    Tensors outputs;
  };

  Result Run(const std::string& component, const std::vector<std::string>& flags,
             const std::optional<Tensors>& inputs = std::nullopt) {
    const std::string out = dir_.File("out.safetensors");
    fs::remove(out);
    std::vector<std::string> args = {SVI_BIN_DIR "/svi-worker", "run-component", "--component=" + component,
                                     "--outputs=" + out, "--threads=1"};
    args.insert(args.end(), flags.begin(), flags.end());
    if (inputs) {
      engine::WriteSafetensors(dir_.File("in.safetensors"), {*inputs, {}});
      args.push_back("--inputs=" + dir_.File("in.safetensors"));
    }
    Process process(args);
    Result result;
    result.exit_code = process.Wait();
    result.said = process.output();
    if (fs::exists(out)) result.outputs = Read(out);
    // Nothing else is left behind, whatever happened.
    for (const auto& entry : fs::directory_iterator(dir_.path())) EXPECT_NE(entry.path().extension(), ".tmp");
    return result;
  }

  Tensors Ok(const std::string& component, const std::vector<std::string>& flags,
             const std::optional<Tensors>& inputs = std::nullopt) {
    Result result = Run(component, flags, inputs);
    EXPECT_EQ(result.exit_code, 0) << result.said;
    return result.outputs;
  }

  // The message; there must be one, exit code 2 and no output.
  std::string Refused(const std::string& component, const std::vector<std::string>& flags,
                      const std::optional<Tensors>& inputs = std::nullopt, int exit_code = 2) {
    const Result result = Run(component, flags, inputs);
    EXPECT_EQ(result.exit_code, exit_code) << result.said;
    EXPECT_TRUE(result.outputs.empty());
    return result.said;
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_.File(name), std::ios::binary) << text;
    return dir_.File(name);
  }

  // A folder of the text encoder of tests/golden/text.
  std::string TextEncoder() {
    const fs::path folder = dir_.path() / "text_encoder";
    fs::create_directories(folder);
    fs::copy_file(kGolden + "text/umt5_config.json", folder / "config.json", fs::copy_options::skip_existing);
    fs::copy_file(kGolden + "text/umt5_weights.safetensors", folder / "model.safetensors",
                  fs::copy_options::skip_existing);
    return folder.string();
  }

  const TempDir dir_;
};

class TransformerComponentTest : public RunComponentTest {
 protected:
  Tensors Inputs(const std::string& timestep = "scalar") const {
    return {{"hidden_states", golden_.at("hidden_states")},
            {"timestep", golden_.at("timestep." + timestep)},
            {"encoder_hidden_states", golden_.at("encoder_hidden_states")}};
  }
  const Tensors golden_ = Read(kGolden + "components/transformer.safetensors");
};

TEST_F(TransformerComponentTest, EqualsDiffusers) {
  for (const std::string timestep : {"scalar", "tokens"}) {
    SCOPED_TRACE(timestep);
    const Tensors outputs = Ok("transformer", {"--model=" + kTransformer}, Inputs(timestep));
    EXPECT_THAT(Names(outputs), testing::ElementsAre("sample"));
    EXPECT_EQ(outputs.at("sample").scalar_type(), at::kFloat);
    EXPECT_LE(MaxError(outputs.at("sample"), golden_.at("sample." + timestep)), 1.2e-5);
  }
}

// A folder of its own in Wan's layout: the same numbers, LoRAs included.
TEST_F(TransformerComponentTest, BothLayoutsGiveTheSame) {
  const fs::path folder = dir_.path() / "wan";
  fs::create_directories(folder);
  Tensors renamed;
  for (const auto& [name, tensor] : Read(kTransformer + "/diffusion_pytorch_model.safetensors")) {
    renamed[engine::KeyMap::Transformer().ToOriginal(name).value()] = tensor;
  }
  engine::WriteSafetensors((folder / "diffusion_pytorch_model.safetensors").string(), {renamed, {}});
  Write("wan/config.json",
        R"({"_class_name": "WanModel", "model_type": "ti2v", "dim": 40, "eps": 1e-06, "ffn_dim": 56, 
            "freq_dim": 16, "in_dim": 8, "num_heads": 2, "num_layers": 2, "out_dim": 8, "text_len": 512})");
  const std::string lora = "--lora=" + kGolden + "components/lora_diffusers.safetensors:2";
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{{}, {lora}}) {
    std::vector<std::string> here = flags, there = flags;
    here.push_back("--model=" + kTransformer);
    there.push_back("--model=" + folder.string());
    EXPECT_TRUE(at::equal(Ok("transformer", here, Inputs()).at("sample"),
                          Ok("transformer", there, Inputs()).at("sample")));
  }
}

TEST_F(TransformerComponentTest, Bfloat16IsAsNearAsDiffusersIs) {
  for (const std::string timestep : {"scalar", "tokens"}) {
    SCOPED_TRACE(timestep);
    const at::Tensor& exact = golden_.at("sample." + timestep);
    const at::Tensor& theirs = golden_.at("sample." + timestep + ".bf16");
    const at::Tensor ours =
        Ok("transformer", {"--model=" + kTransformer, "--dtype=bfloat16"}, Inputs(timestep)).at("sample");
    const double reference_error = RelativeError(theirs, exact);  // 0.6 %
    EXPECT_LE(RelativeError(ours, exact), 1.3 * reference_error);
    EXPECT_GT(RelativeError(ours, exact), 0.5 * reference_error);  // it is bfloat16
    EXPECT_LE(RelativeError(ours, theirs), 1.4 * reference_error);
  }
}

TEST_F(TransformerComponentTest, MergesSeveralLorasOfDifferentSpellings) {
  const std::string comfy = "--lora=" + kGolden + "components/lora_comfy.safetensors";
  const std::string plain = "--lora=" + kGolden + "components/lora_diffusers.safetensors";
  const std::string model = "--model=" + kTransformer;
  const at::Tensor& expected = golden_.at("sample.loras");
  EXPECT_LE(
      MaxError(Ok("transformer", {model, comfy + ":0.75", plain + ":-0.5"}, Inputs("tokens")).at("sample"),
               expected),
      1.2e-5);
  // Strength 1 is meant where none is given.
  EXPECT_TRUE(at::equal(Ok("transformer", {model, comfy}, Inputs("tokens")).at("sample"),
                        Ok("transformer", {model, comfy + ":1"}, Inputs("tokens")).at("sample")));
  EXPECT_GT(MaxError(expected, golden_.at("sample.tokens")), 0.1);
}

TEST_F(TransformerComponentTest, RefusesWhatDoesNotFitByName) {
  const std::string model = "--model=" + kTransformer;
  const auto with = [&](const std::string& name, const at::Tensor& tensor) {
    Tensors inputs = Inputs();
    inputs[name] = tensor;
    return Refused("transformer", {model}, inputs);
  };
  EXPECT_THAT(
      with("hidden_states", at::zeros({1, 7, 1, 2, 2})),
      AllOf(HasSubstr("hidden_states must be [B, C, F, H, W] with C = 8"), HasSubstr("[1, 7, 1, 2, 2]")));
  EXPECT_THAT(with("hidden_states", at::zeros({2, 8, 1, 3, 2})), HasSubstr("even H and W"));
  EXPECT_THAT(with("hidden_states", at::zeros({2, 8, 1, 2, 2}, at::kInt)), HasSubstr("floating dtype"));
  EXPECT_THAT(with("timestep", at::zeros({3})), HasSubstr("timestep must be [B] with B = 2"));
  EXPECT_THAT(with("timestep", at::zeros({2, 44})), HasSubstr("[B, tokens] with B = 2, tokens = 45"));
  EXPECT_THAT(with("encoder_hidden_states", at::zeros({2, 5, 23})), HasSubstr("D = 24; it is [2, 5, 23]"));

  Tensors missing = Inputs();
  missing.erase("timestep");
  EXPECT_THAT(Refused("transformer", {model}, missing), HasSubstr("timestep is missing"));
  missing["timesteps"] = at::zeros({2});
  EXPECT_THAT(Refused("transformer", {model}, missing), HasSubstr("timesteps is not an input"));
  EXPECT_THAT(Refused("transformer", {model}), HasSubstr("--inputs is required"));
  EXPECT_THAT(Refused("transformer", {}, Inputs()), HasSubstr("--model is required"));
  EXPECT_THAT(Refused("transformer", {model, "--dtype=float16"}, Inputs()), HasSubstr("--dtype must be"));
  EXPECT_THAT(Refused("transformer", {model, "--text-file=x"}, Inputs()), HasSubstr("--text-file is for"));
  EXPECT_THAT(Refused("transformer", {"--model=" + dir_.File("none")}, Inputs(), 1),
              HasSubstr("model folder"));
  EXPECT_THAT(Refused("transformer", {model, "--lora=" + dir_.File("none.safetensors") + ":1"}, Inputs(), 1),
              HasSubstr("none.safetensors"));
  EXPECT_THAT(Refused("transformer", {model, "--inputs=" + dir_.File("nothing")}, std::nullopt, 1),
              HasSubstr("nothing"));
}

TEST_F(RunComponentTest, VaeEqualsDiffusers) {
  const Tensors golden = Read(kGolden + "components/vae.safetensors");
  for (const std::string& folder : {kPipeline, kPipeline + "/vae"}) {
    SCOPED_TRACE(folder);
    const Tensors encoded =
        Ok("vae-encode", {"--model=" + folder}, Tensors{{"video", golden.at("in.video")}});
    EXPECT_THAT(Names(encoded), testing::ElementsAre("latents", "mean"));
    EXPECT_LE(MaxError(encoded.at("mean"), golden.at("mean")), 1e-5);
    EXPECT_LE(MaxError(encoded.at("latents"), golden.at("latents")), 2e-5);
    const Tensors decoded =
        Ok("vae-decode", {"--model=" + folder}, Tensors{{"latents", golden.at("in.latents")}});
    EXPECT_THAT(Names(decoded), testing::ElementsAre("video"));
    EXPECT_LE(MaxError(decoded.at("video"), golden.at("video")), 2e-5);
    EXPECT_LE(decoded.at("video").abs().max().item<double>(), 1.0);
  }
}

TEST_F(RunComponentTest, VaeInBfloat16IsAsNearAsDiffusersIs) {
  const Tensors golden = Read(kGolden + "components/vae.safetensors");
  const std::vector<std::string> flags = {"--model=" + kPipeline, "--dtype=bfloat16"};
  Tensors ours = Ok("vae-encode", flags, Tensors{{"video", golden.at("in.video")}});
  ours.merge(Ok("vae-decode", flags, Tensors{{"latents", golden.at("in.latents")}}));
  for (const std::string name : {"mean", "latents", "video"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(ours.at(name).scalar_type(), at::kFloat);
    const double reference_error = RelativeError(golden.at(name + ".bf16"), golden.at(name));  // 0.5…2 %
    EXPECT_LE(RelativeError(ours.at(name), golden.at(name)), 1.4 * reference_error);
    EXPECT_GT(RelativeError(ours.at(name), golden.at(name)), 0.4 * reference_error);
    EXPECT_LE(RelativeError(ours.at(name), golden.at(name + ".bf16")), 1.6 * reference_error);
  }
}

TEST_F(RunComponentTest, VaeRefusesWhatItWouldSilentlyCut) {
  const std::string model = "--model=" + kPipeline;
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {1, 3, 4, 16, 16}, {1, 3, 1, 24, 16}, {1, 4, 1, 16, 16}, {3, 1, 16, 16}}) {
    EXPECT_THAT(Refused("vae-encode", {model}, Tensors{{"video", at::zeros(shape)}}),
                HasSubstr("video must be [B, 3, F, H, W]"));
  }
  EXPECT_THAT(Refused("vae-decode", {model}, Tensors{{"latents", at::zeros({1, 7, 1, 2, 2})}}),
              HasSubstr("latents must be [B, z, T, h, w] with z = 8"));
}

TEST_F(RunComponentTest, TextEncoderEqualsTransformersInAllRows) {
  const Tensors golden = Read(kGolden + "components/text_encoder.safetensors");
  const std::string model = "--model=" + TextEncoder();
  const auto run = [&](at::ScalarType mask_dtype, const std::vector<std::string>& flags) {
    return Ok("text-encoder", flags,
              Tensors{{"input_ids", golden.at("input_ids").to(at::kInt)},
                      {"attention_mask", golden.at("attention_mask").to(mask_dtype)}})
        .at("last_hidden_state");
  };
  const at::Tensor& exact = golden.at("last_hidden_state");
  for (const at::ScalarType dtype : {at::kLong, at::kInt, at::kBool}) {
    EXPECT_LE(MaxError(run(dtype, {model}), exact), 1e-5);
  }
  const at::Tensor half = run(at::kLong, {model, "--dtype=bfloat16"});
  const double reference_error = RelativeError(golden.at("last_hidden_state.bf16"), exact);
  EXPECT_LE(RelativeError(half, exact), 1.5 * reference_error);
  EXPECT_GT(RelativeError(half, exact), 0.5 * reference_error);
  EXPECT_THAT(Refused("text-encoder", {model},
                      Tensors{{"input_ids", at::full({1, 2}, 200, at::kLong)},
                              {"attention_mask", at::ones({1, 2}, at::kLong)}}),
              HasSubstr("input_ids must be from 0 to 199"));
}

TEST_F(RunComponentTest, TokenizerCleansAndPadsALineEach) {
  const std::string folder = kGolden + "text/tokenizer_a";
  const auto parse = [&](const std::string& name) {
    return nlohmann::json::parse(std::ifstream(folder + "/" + name));
  };
  // Of cases.json: the text, then the ids without and with bytes for unknown characters.
  const size_t column = parse("tokenizer.json")["model"].value("byte_fallback", false) ? 2 : 1;
  std::vector<std::vector<int64_t>> expected;
  std::string text;
  for (const auto& row : parse("cases.json")) {
    const auto line = row[0].get<std::string>();
    if (line.empty() || engine::CleanPrompt(line) != line || expected.size() == 40) continue;
    expected.push_back(row[column].get<std::vector<int64_t>>());
    text += (expected.size() % 3 == 0 ? "  &nbsp; " + line + " \r\n" : line + "\n");
  }
  ASSERT_EQ(expected.size(), 40u);
  expected.push_back({1});  // an empty line is an empty prompt
  expected.push_back(expected.front());
  text += "\n" + text.substr(0, text.find('\n'));  // no newline behind the last one
  const Tensors outputs = Ok("tokenizer", {"--model=" + folder, "--text-file=" + Write("prompts.txt", text)});
  EXPECT_THAT(Names(outputs), testing::ElementsAre("attention_mask", "input_ids"));
  const at::Tensor& ids = outputs.at("input_ids");
  const at::Tensor& mask = outputs.at("attention_mask");
  ASSERT_EQ(ids.sizes(), at::IntArrayRef({42, 512}));
  ASSERT_EQ(mask.sizes(), ids.sizes());
  EXPECT_EQ(ids.scalar_type(), at::kLong);
  EXPECT_EQ(mask.scalar_type(), at::kLong);
  for (size_t row = 0; row < expected.size(); ++row) {
    const auto count = static_cast<int64_t>(expected[row].size());
    const at::Tensor wanted = at::zeros({512}, at::kLong), real = at::zeros({512}, at::kLong);
    wanted.narrow(0, 0, count).copy_(at::tensor(expected[row], at::kLong));
    real.narrow(0, 0, count).fill_(1);
    EXPECT_TRUE(at::equal(ids[static_cast<int64_t>(row)], wanted)) << row;
    EXPECT_TRUE(at::equal(mask[static_cast<int64_t>(row)], real)) << row;
  }
  EXPECT_THAT(Refused("tokenizer", {"--model=" + folder}), HasSubstr("--text-file is required"));
  EXPECT_THAT(
      Refused("tokenizer", {"--model=" + folder, "--text-file=" + dir_.File("none.txt")}, std::nullopt, 1),
      HasSubstr("none.txt"));
}

TEST_F(RunComponentTest, SchedulerEqualsWanAndSvi) {
  const Tensors golden = Read(kGolden + "sampler/sampler.safetensors");
  for (const auto& [steps, shift] : std::vector<std::pair<int, int>>{{1, 5}, {4, 5}, {20, 3}, {50, 8}}) {
    const std::string run = ".steps" + std::to_string(steps) + "_shift" + std::to_string(shift) + ".";
    for (const std::string sampler : {"unipc", "euler"}) {
      SCOPED_TRACE(sampler + run);
      const Tensors outputs = Ok("scheduler", {"--sampler=" + sampler, "--steps=" + std::to_string(steps),
                                               "--shift=" + std::to_string(shift)});
      EXPECT_THAT(Names(outputs), testing::ElementsAre("sigmas", "timesteps"));
      const at::Tensor& sigmas = outputs.at("sigmas");
      ASSERT_EQ(sigmas.sizes(), at::IntArrayRef({steps + 1}));
      EXPECT_EQ(sigmas.scalar_type(), at::kFloat);
      EXPECT_LE(MaxError(sigmas.narrow(0, 0, steps), golden.at(sampler + run + "sigmas").narrow(0, 0, steps)),
                1e-6);
      EXPECT_EQ(sigmas[steps].item<float>(), 0.0f);
      const at::Tensor& timesteps = outputs.at("timesteps");
      EXPECT_EQ(timesteps.scalar_type(), sampler == "unipc" ? at::kLong : at::kFloat);
      EXPECT_LE(MaxError(timesteps, golden.at(sampler + run + "timesteps")), sampler == "unipc" ? 0.0 : 2e-4);
    }
  }
  EXPECT_THAT(Refused("scheduler", {"--sampler=ddim"}), HasSubstr("--sampler must be unipc or euler"));
  EXPECT_THAT(Refused("scheduler", {"--steps=0"}), HasSubstr("steps must be 1 to 10000"));
  EXPECT_THAT(Refused("scheduler", {"--shift=-1"}), HasSubstr("shift must be positive"));
}

class SampleComponentTest : public RunComponentTest {
 protected:
  Tensors Inputs() const {
    return {{"latents", golden_.at("noise")},
            {"image", golden_.at("picture").to(at::kFloat).unsqueeze(0) / 127.5 - 1},
            {"prompt_embeds", golden_.at("prompt_embeds")},
            {"negative_prompt_embeds", golden_.at("negative_prompt_embeds")}};
  }
  // The frames that the fixture kept, in [0, 1].
  static at::Tensor Kept(const at::Tensor& video) {
    return video.index_select(2, at::tensor({0, 1, 8, 16}, at::kLong)).permute({0, 2, 1, 3, 4}) / 2 + 0.5;
  }
  const Tensors golden_ = Read(kGolden + "svi/pipeline.safetensors");
  const std::vector<std::string> flags_ = {"--model=" + kPipeline, "--steps=4", "--shift=5",
                                           "--guidance-scale=5"};
};

TEST_F(SampleComponentTest, EqualsDiffusersPipeline) {
  const Tensors outputs = Ok("sample", flags_, Inputs());
  EXPECT_THAT(Names(outputs), testing::ElementsAre("latents", "video"));
  EXPECT_LE(MaxError(outputs.at("latents"), golden_.at("latents")), 5e-5);
  EXPECT_LE(MaxError(Kept(outputs.at("video")), golden_.at("video")), 1e-4);
  EXPECT_LE(outputs.at("video").abs().max().item<double>(), 1.0);
}

TEST_F(SampleComponentTest, GivenSigmasReplaceTheSchedule) {
  Tensors inputs = Inputs();
  inputs["sigmas"] = Ok("scheduler", {"--steps=4", "--shift=5"}).at("sigmas");
  const Tensors outputs = Ok("sample", {"--model=" + kPipeline}, inputs);
  EXPECT_LE(MaxError(outputs.at("latents"), golden_.at("latents")), 5e-5);
  inputs["sigmas"] = at::tensor({0.5, 0.7, 0.0});
  EXPECT_THAT(Refused("sample", flags_, inputs), HasSubstr("sigmas must fall"));
}

TEST_F(SampleComponentTest, EulerEqualsSvisScheduler) {
  const Tensors euler = Read(kGolden + "components/sample_euler.safetensors");
  const Tensors outputs = Ok(
      "sample", {"--model=" + kPipeline, "--sampler=euler", "--steps=3", "--shift=3", "--guidance-scale=3.5"},
      Inputs());
  EXPECT_LE(MaxError(outputs.at("latents"), euler.at("latents")), 5e-5);
  Tensors inputs = Inputs();
  inputs["sigmas"] = euler.at("sigmas");
  EXPECT_LE(MaxError(Ok("sample", {"--model=" + kPipeline, "--sampler=euler", "--guidance-scale=3.5"}, inputs)
                         .at("latents"),
                     euler.at("latents")),
            5e-5);
}

TEST_F(SampleComponentTest, WithoutGuidanceNoNegativePromptIsNeeded) {
  Tensors inputs = Inputs();
  inputs.erase("negative_prompt_embeds");
  const std::vector<std::string> flags = {"--model=" + kPipeline, "--steps=2", "--guidance-scale=1"};
  const at::Tensor without = Ok("sample", flags, inputs).at("latents");
  EXPECT_TRUE(at::equal(without, Ok("sample", flags, Inputs()).at("latents")));
  EXPECT_THAT(Refused("sample", flags_, inputs), HasSubstr("negative_prompt_embeds is missing"));
}

TEST_F(SampleComponentTest, TextsOfDifferentLengths) {
  Tensors inputs = Inputs();
  inputs["negative_prompt_embeds"] = inputs["negative_prompt_embeds"].narrow(1, 0, 7).clone();
  EXPECT_GT(MaxError(Ok("sample", flags_, inputs).at("latents"), golden_.at("latents")), 1e-3);
}

TEST_F(SampleComponentTest, Bfloat16StaysNear) {
  std::vector<std::string> flags = flags_;
  flags.push_back("--dtype=bfloat16");
  const Tensors outputs = Ok("sample", flags, Inputs());
  const double error = RelativeError(outputs.at("latents"), golden_.at("latents"));
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 1e-4);
}

TEST_F(SampleComponentTest, RefusesPicturesOfAnotherSize) {
  Tensors inputs = Inputs();
  inputs["image"] = at::zeros({1, 3, 64, 80});
  EXPECT_THAT(Refused("sample", flags_, inputs), HasSubstr("image must be [1, 3, 16h, 16w]"));
  inputs["image"] = at::zeros({3, 64, 96});
  EXPECT_THAT(Refused("sample", flags_, inputs), HasSubstr("image must be [1, 3, 16h, 16w]"));
}

TEST_F(RunComponentTest, SviTrainStepEqualsSvi) {
  const Tensors golden = Read(kGolden + "components/svi_train.safetensors");
  const std::string marker = ".in.latents";
  for (const auto& [name, tensor] : golden) {
    if (!name.ends_with(marker)) continue;
    const std::string step = name.substr(0, name.size() - marker.size() + 1);
    SCOPED_TRACE(step);
    Tensors inputs;
    for (const auto& [key, value] : golden) {
      if (key.starts_with(step + "in.")) inputs[key.substr(step.size() + 3)] = value;
    }
    std::vector<std::string> flags;
    if (step.starts_with("shift3.")) flags.push_back("--shift=3");
    const Tensors outputs = Ok("svi-train-step", flags, inputs);
    EXPECT_THAT(Names(outputs),
                testing::ElementsAre("grid", "latent_error", "loss", "noise_error", "noisy_input", "target"));
    for (const auto& [key, value] : outputs) {
      EXPECT_LE(MaxError(value, golden.at(step + key)), key == "grid" ? 0.0 : 4e-6) << key;
    }
    EXPECT_EQ(outputs.at("grid").scalar_type(), at::kLong);
  }
}

TEST_F(RunComponentTest, SviTrainStepRefusesWhatDoesNotFit) {
  const at::Tensor x = at::zeros({1, 2, 1, 2, 2});
  const Tensors inputs = {
      {"latents", x}, {"noise", x}, {"prediction", x}, {"timestep_index", at::tensor({1000}, at::kLong)}};
  EXPECT_THAT(Refused("svi-train-step", {}, inputs),
              HasSubstr("timestep_index must be from 0 to 999; it is 1000"));
  Tensors other = inputs;
  other["timestep_index"] = at::tensor({3}, at::kLong);
  other["latent_error"] = at::zeros({1, 2, 1, 2, 1});
  EXPECT_THAT(Refused("svi-train-step", {}, other),
              HasSubstr("latent_error must be of the shape of latents"));
  other = inputs;
  other["timestep_index"] = at::tensor({3.0f});
  EXPECT_THAT(Refused("svi-train-step", {}, other),
              HasSubstr("timestep_index must be of a whole-number dtype"));
}

// One file can serve several components; what is left out is said, lest a misspelt optional input goes
// unseen.
TEST_F(RunComponentTest, OtherTensorsAreLeftOutAndNamed) {
  const Result result = Run("scheduler", {}, Tensors{{"hidden_states", at::zeros({2})}});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(Names(result.outputs), testing::ElementsAre("sigmas", "timesteps"));
  EXPECT_THAT(result.said, HasSubstr("input hidden_states is not one of scheduler's and was left out"));
}

TEST_F(RunComponentTest, UnknownNamesListTheKnownOnes) {
  EXPECT_THAT(Refused("vae", {}), AllOf(HasSubstr("unknown component \"vae\""), HasSubstr("vae-encode"),
                                        HasSubstr("svi-train-step")));
  Process process({SVI_BIN_DIR "/svi-worker", "run-component"});
  EXPECT_EQ(process.Wait(), 2);
  EXPECT_THAT(process.output(), HasSubstr("--component is required"));
}

TEST_F(RunComponentTest, OutputsAreWrittenWholeOrNotAtAll) {
  // A folder that is not there, and a failure after the inputs were read.
  Process process({SVI_BIN_DIR "/svi-worker", "run-component", "--component=scheduler",
                   "--outputs=" + dir_.File("none/out.safetensors")});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.output(), HasSubstr("cannot write out.safetensors"));
}

}  // namespace
}  // namespace svi::e2e
